import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from './child.ts';
import { findBinary, REPO } from './find-binary.ts';
import { freePort } from './free-port.ts';
import { answersWith } from './tcp-ready.ts';

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

export type NatsServerOptions = {
  /** Store of JetStream. Default: a temporary folder that is removed at the end. */
  dir?: string;
  port?: number;
  args?: string[];
};

/** The configuration that `./spillway up` uses; arguments win over it. */
const CONFIGURATION = join(REPO, 'infra', 'nats.conf');

/** A real nats-server with JetStream on a free port of loopback. */
export async function startNatsServer(options: NatsServerOptions = {}): Promise<TestServer> {
  const file = findBinary('nats-server', 'NATS_SERVER');
  const port = options.port ?? (await freePort());
  const temporary = await mkdtemp(join(tmpdir(), 'spillway-nats-'));
  const store = options.dir ?? join(temporary, 'store');
  const args = ['-c', CONFIGURATION, '-a', '127.0.0.1', '-p', String(port), '-sd', store];
  const start = async (): Promise<Child> => {
    const child = new Child({ name: 'nats-server', file, args: [...args, ...(options.args ?? [])] });
    await child.until(() => answersWith(port, '', 'INFO {'), 10_000);
    return child;
  };
  let child = await start();
  return {
    url: `nats://127.0.0.1:${port}`,
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
      await rm(temporary, { recursive: true, force: true });
    },
  };
}
