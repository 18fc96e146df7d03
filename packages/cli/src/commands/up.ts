import { resolve } from 'node:path';
import { choiceOption, integerOption, parseCommand, scaleOption } from '../args.ts';
import type { Context } from '../context.ts';
import { runInBackground, tellReady } from '../detach.ts';
import { type Mesh, startMesh } from '../mesh.ts';
import type { MeshOptions } from '../mesh-plan.ts';
import { DEFAULT_PORT_BASE, HIGHEST_PORT_BASE } from '../ports.ts';
import { welcome } from '../welcome.ts';

export const OPTIONS = {
  models: { type: 'string' },
  scale: { type: 'string', multiple: true },
  'port-base': { type: 'string' },
  'model-control-mode': { type: 'string' },
  detach: { type: 'boolean', short: 'd' },
} as const;

/** Ctrl-C in a shell: 128 + SIGINT. */
const EXIT_INTERRUPTED = 130;

export async function run(context: Context, argv: string[]): Promise<number> {
  const { values } = parseCommand('up', argv, OPTIONS);
  const options: MeshOptions = {
    portBase: integerOption('up', 'port-base', values['port-base'], {
      min: 1,
      max: HIGHEST_PORT_BASE,
      fallback: DEFAULT_PORT_BASE,
    }),
    scale: scaleOption('up', values.scale ?? []),
    models: resolve(context.cwd, values.models ?? `${context.root}/models`),
  };
  const mode = values['model-control-mode'];
  if (mode !== undefined)
    options.modelControlMode = choiceOption('up', 'model-control-mode', mode, ['none', 'explicit']);
  if (!values.detach) return serve(context, options);
  return runInBackground(context, ['up', ...argv.filter((word) => word !== '--detach' && word !== '-d')]);
}

/** Runs the mesh in this process until a signal, or until it fails to start. */
async function serve(context: Context, options: MeshOptions): Promise<number> {
  const startedMs = performance.now();
  const stop = new AbortController();
  let mesh: Mesh | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (stop.signal.aborted) {
      context.say(`${signal} again: ending everything now`);
      mesh?.kill();
      process.exit(EXIT_INTERRUPTED);
    }
    context.say(`${signal}: draining (once more ends at once)`);
    stop.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);

  mesh = await startMesh(context, options);
  try {
    await mesh.untilReady(stop.signal);
  } catch (error) {
    await mesh.drain();
    throw error;
  }
  if (!stop.signal.aborted) {
    const tookS = ((performance.now() - startedMs) / 1000).toFixed(1);
    for (const line of await welcome(context, mesh, tookS)) context.print(line);
    tellReady();
    await new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve(), { once: true }));
  }
  await mesh.drain();
  context.say('everything has ended');
  return 0;
}
