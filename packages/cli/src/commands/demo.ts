import { integerOption, parseCommand } from '../args.ts';
import type { Context } from '../context.ts';
import { show } from '../demo/show.ts';
import { readDevKey } from '../dev-key.ts';
import { type Mesh, startMesh } from '../mesh.ts';
import { DEFAULT_PORT_BASE, HIGHEST_PORT_BASE } from '../ports.ts';
import { readState } from '../state-file.ts';

export const OPTIONS = { 'port-base': { type: 'string' } } as const;
const ONE_EACH = { gateway: 1, cache: 1, 'feature-service': 1, batcher: 1, 'gpu-worker': 1 };

export async function run(context: Context, argv: string[]): Promise<number> {
  const { values } = parseCommand('demo', argv, OPTIONS);
  const range = { min: 1, max: HIGHEST_PORT_BASE, fallback: DEFAULT_PORT_BASE };
  const portBase = integerOption('demo', 'port-base', values['port-base'], range);
  const running = readState(context.dataDir);
  if (running) {
    context.say(`using the mesh that runs already (pid ${running.pid}, ${running.endpoints.http}); it stays up`);
    return show(context, running, readDevKey(context.dataDir));
  }
  return withOwnMesh(context, portBase);
}

async function withOwnMesh(context: Context, portBase: number): Promise<number> {
  const stop = new AbortController();
  let mesh: Mesh | undefined;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) {
        mesh?.kill();
        process.exit(130);
      }
      context.say(`${signal}: draining (once more ends at once)`);
      stop.abort();
    });
  }
  context.say('starting the mesh');
  mesh = await startMesh(context, { portBase, scale: ONE_EACH, models: `${context.root}/models` });
  try {
    await mesh.untilReady(stop.signal);
    const interrupted = new Promise<number>((resolve) => stop.signal.addEventListener('abort', () => resolve(130)));
    if (stop.signal.aborted) return 130;
    return await Promise.race([show(context, mesh.state(), mesh.key), interrupted]);
  } finally {
    context.say('ending the mesh');
    await mesh.drain();
  }
}
