import { join } from 'node:path';
import { startOtlpReceiver } from './traces/otlp-receiver.ts';
import { openTraceStore } from './traces/trace-store.ts';

export const tracesDir = (dataDir: string): string => join(dataDir, 'traces');

/** The launcher's own receiver of traces, with its store. @throws the system's error when the port is taken. */
export async function startReceiver({ dataDir, port }: { dataDir: string; port: number }): Promise<AsyncDisposable> {
  await using opening = new AsyncDisposableStack();
  const store = opening.use(await openTraceStore(tracesDir(dataDir)));
  opening.use(await startOtlpReceiver({ store, port }));
  const open = opening.move();
  return { [Symbol.asyncDispose]: () => open.disposeAsync() };
}
