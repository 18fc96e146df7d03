import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CliError, type Context } from './context.ts';
import { ensureDevKey } from './dev-key.ts';
import { Door } from './door.ts';
import { ensureServers } from './install.ts';
import { type MeshOptions, type MeshPlan, planMesh } from './mesh-plan.ts';
import { requireFreePorts } from './port-check.ts';
import { seedSample } from './seed.ts';
import { type MeshState, readState, StateFile } from './state-file.ts';
import { Supervisor } from './supervise.ts';
import { startReceiver } from './trace-receiver.ts';

/** A mesh of this process. `drain` and `kill` may be called at any time, also while it starts. */
export type Mesh = {
  key: string;
  state: () => MeshState;
  /** Resolves when everything is ready. @throws CliError when something will not come up. */
  untilReady: (aborted: AbortSignal) => Promise<void>;
  drain: () => Promise<void>;
  kill: () => void;
};

/**
 * Starts NATS, Redis, every service and the receiver of traces. Writes `state.json` at each change.
 * @throws CliError when a mesh already runs on this data folder, a port is taken, or a server is missing.
 */
export async function startMesh(context: Context, options: MeshOptions): Promise<Mesh> {
  requireModels(options.models);
  const running = readState(context.dataDir);
  if (running) throw alreadyRunning(running);
  const unneeded = [context.env['NATS_URL'] && 'nats-server', context.env['REDIS_URL'] && 'redis-server'];
  const servers = await ensureServers(context, unneeded.filter(Boolean) as string[]);
  const plan = planMesh(context, options, servers);
  await requireFreePorts(plan.wanted);

  const file = StateFile.claim(context.dataDir, describe(context, options, plan));
  if (!(file instanceof StateFile)) throw alreadyRunning(file);
  try {
    const key = ensureDevKey(context.dataDir);
    const receiver = await startReceiver({ dataDir: context.dataDir, port: plan.ports.otlp });
    return supervise(context, options, plan, { file, key, receiver });
  } catch (error) {
    file.release();
    throw error;
  }
}

type Opened = { file: StateFile; key: string; receiver: AsyncDisposable };

function supervise(context: Context, options: MeshOptions, plan: MeshPlan, { file, key, receiver }: Opened): Mesh {
  const state = describe(context, options, plan);
  const publish = () => {
    state.services = supervisor.services();
    file.write(state);
  };
  const seed = () => seedSample(context, options.models, plan.seedEnv);
  let seeded = plan.own.redis ? undefined : seed();
  const supervisor = new Supervisor(context.dataDir, plan.children, {
    say: context.say,
    changed: publish,
    // Our Redis keeps nothing over a restart, so that the sample is written again.
    ready: (name) => {
      if (name === 'redis' && state.phase !== 'draining') seeded = seed();
    },
  });
  supervisor.start();
  publish();
  const close = () => {
    file.release();
    return receiver[Symbol.asyncDispose]();
  };
  return {
    key,
    state: () => state,
    untilReady: async (aborted) => {
      await supervisor.untilReady(aborted);
      await seeded;
      await untilServed(context, state, key, aborted);
      if (aborted.aborted || state.phase !== 'starting') return;
      state.phase = 'ready';
      publish();
    },
    drain: async () => {
      state.phase = 'draining';
      publish();
      await supervisor.drain();
      await close();
    },
    kill: () => {
      supervisor.kill();
      void close();
    },
  };
}

/** A worker that is ready has put its models into the catalogue; the doors hear of it a moment later. */
const SERVED_WITHIN_MS = 2_500;

/** Waits until every gateway serves every model of the repository; says which are not served, as one may not load. */
async function untilServed({ say }: Context, state: MeshState, key: string, aborted: AbortSignal): Promise<void> {
  const wanted = modelsIn(state.models);
  const gateways = state.services.filter(({ name }) => name === 'gateway');
  const sinceMs = performance.now();
  for (const { ports } of gateways) {
    using door = new Door(`http://127.0.0.1:${ports['http']}`, key, { connections: 1 });
    for (;;) {
      const served = await door.readyModels().catch((): string[] => []);
      const missing = wanted.filter((name) => !served.includes(name));
      if (missing.length === 0 || aborted.aborted) break;
      if (performance.now() - sinceMs > SERVED_WITHIN_MS) {
        say(`not served: ${missing.join(', ')}; why: ./spillway logs gpu-worker`);
        return;
      }
      await delay(50);
    }
  }
}

function describe(context: Context, options: MeshOptions, plan: MeshPlan): MeshState {
  return {
    pid: process.pid,
    phase: 'starting',
    startedAt: new Date().toISOString(),
    version: context.version,
    models: options.models,
    ports: {
      base: options.portBase,
      ...(plan.own.nats && { nats: plan.ports.nats }),
      ...(plan.own.redis && { redis: plan.ports.redis }),
      otlp: plan.ports.otlp,
    },
    endpoints: plan.endpoints,
    services: [],
  };
}

const alreadyRunning = (state: MeshState): CliError =>
  new CliError(`a mesh already runs here: pid ${state.pid}, since ${state.startedAt}, ${state.endpoints.http}`, [
    'See it: ./spillway status    End it: ./spillway down',
  ]);

/** Names of the models that a repository holds: folders with a declaration or a first version. */
export function modelsIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder, { withFileTypes: true }).filter(
    (entry) => entry.isDirectory() || entry.isSymbolicLink(),
  );
  return names
    .map(({ name }) => name)
    .filter((name) => {
      const inside = join(folder, name);
      if (existsSync(join(inside, 'model.yaml'))) return true;
      return readdirSync(inside).some((version) => existsSync(join(inside, version, 'model.onnx')));
    })
    .sort();
}

function requireModels(folder: string): void {
  if (modelsIn(folder).length > 0) return;
  throw new CliError(`no model in ${folder}`, [
    'Expected <name>/1/model.onnx (a model.yaml beside the version is optional). Choose the folder with --models DIR.',
  ]);
}
