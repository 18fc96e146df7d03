import type { Child } from './child.ts';

/** A server that a test started. */
export type TestServer = AsyncDisposable & {
  readonly url: string;
  readonly port: number;
  /** Of the running process; another one after a restart. */
  readonly pid: number;
  /** SIGKILL unless told otherwise; waits for the end, except for SIGSTOP and SIGCONT. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** SIGTERM and the end; the store stays until disposal. */
  stop(): Promise<void>;
  /** Stops it if it runs, then starts it with the same port and store. */
  restart(): Promise<void>;
  log(): string;
};

/** @param start Resolves when the server answers. `dispose` runs after its end, for good. */
export async function testServer(
  { url, port, dispose }: { url: string; port: number; dispose(): Promise<void> },
  start: () => Promise<Child>,
): Promise<TestServer> {
  let child = await start();
  return {
    url,
    port,
    get pid() {
      return child.pid;
    },
    kill: (signal) => child.kill(signal),
    stop: () => child.stop(),
    restart: async () => {
      await child.stop();
      child = await start();
    },
    log: () => child.tail(200),
    [Symbol.asyncDispose]: async () => {
      await child.stop(2_000);
      await dispose();
    },
  };
}
