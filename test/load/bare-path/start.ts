import { fileURLToPath } from 'node:url';
import { freePort } from '@spillway/testing/free-port';
import { startNatsServer } from '@spillway/testing/nats-server';
import { startUntilReady } from '../start-until-ready.ts';

export type BarePath = AsyncDisposable & {
  /** Of its HTTP door. */
  readonly port: number;
  /** Process ids by name, for the account of CPU. */
  readonly pids: Readonly<Record<string, number>>;
};

const file = (name: string): string => fileURLToPath(new URL(`./${name}.ts`, import.meta.url));

/** NATS, gateway, batcher, worker and executor of the bare path, ready. */
export async function startBarePath(model: string): Promise<BarePath> {
  await using opening = new AsyncDisposableStack();
  const nats = opening.use(await startNatsServer());
  const [http, grpc] = [await freePort(), await freePort()];
  const start = async (name: string, env: Record<string, string>): Promise<number> => {
    const options = { name: `bare ${name}`, file: file(name), env: { NATS_URL: nats.url, ...env } };
    return opening.use(await startUntilReady(options)).pid;
  };
  const batcher = await start('batcher', { GRPC_PORT: String(grpc) });
  const worker = await start('worker', { BATCHER: `127.0.0.1:${grpc}`, MODEL: model });
  const gateway = await start('gateway', { HTTP_PORT: String(http) });
  const open = opening.move();
  return {
    port: http,
    pids: { nats: nats.pid, gateway, batcher, worker },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}
