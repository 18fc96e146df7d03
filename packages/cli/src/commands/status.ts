import type { Lever } from '@spillway/contracts/buckets';
import { parseCommand } from '../args.ts';
import { CliError, type Context } from '../context.ts';
import { readLevers } from '../levers/lever-bucket.ts';
import { leverTable } from '../levers/lever-lines.ts';
import { onMeshBus } from '../mesh-bus.ts';
import { childrenByParent, memoryOf, uptimeSeconds } from '../process-info.ts';
import { type MeshState, readState, type ServiceState } from '../state-file.ts';
import { table } from '../table.ts';

export const OPTIONS = { json: { type: 'boolean' } } as const;

/** Exit code when nothing runs, so that scripts can ask. */
const EXIT_NOT_RUNNING = 3;

export async function run(context: Context, argv: string[]): Promise<number> {
  const { values } = parseCommand('status', argv, OPTIONS);
  const state = readState(context.dataDir);
  if (!state) {
    if (values.json) context.print('null');
    else context.say('no mesh is running; start one: ./spillway up');
    return EXIT_NOT_RUNNING;
  }
  const levers = await leversOf(context, state);
  if (values.json) context.print(JSON.stringify({ ...state, levers }, null, 2));
  else {
    for (const line of describe(state)) context.print(line);
    if (state.phase === 'ready') for (const line of describeLevers(levers)) context.print(line);
  }
  return state.phase === 'ready' && state.services.every((service) => service.state === 'ready') ? 0 : 1;
}

/** Null: nobody can say, for the mesh's NATS is not there, or not yet. */
async function leversOf(context: Context, state: MeshState): Promise<Lever[] | null> {
  if (state.phase !== 'ready') return null;
  try {
    return await onMeshBus(context, (bus) => readLevers(bus, Date.now()));
  } catch (error) {
    if (error instanceof CliError) return null;
    throw error;
  }
}

function describeLevers(levers: Lever[] | null): string[] {
  if (levers === null) return ['levers: unknown, NATS does not answer'];
  return levers.length === 0 ? ['no lever is pulled'] : ['', ...leverTable(levers, Date.now())];
}

function describe(state: MeshState): string[] {
  const children = childrenByParent();
  const launcher: ServiceState = {
    name: 'launcher',
    instance: 'launcher',
    pid: state.pid,
    state: state.phase,
    ports: { otlp: state.ports.otlp },
    restarts: 0,
  };
  const measured = [launcher, ...state.services].map((service) => {
    // The launcher's own children are the other lines.
    const known = service === launcher ? new Map<number, number[]>() : children;
    return { service, memory: service.pid === null ? undefined : memoryOf(service.pid, known) };
  });
  const rows = measured.map(({ service, memory }) => [
    service.name,
    service.instance,
    service.pid === null ? '-' : String(service.pid),
    service.state,
    Object.entries(service.ports)
      .map(([name, port]) => `${name} ${port}`)
      .join(' '),
    String(service.restarts),
    memory === undefined ? '-' : `${Math.round(memory.resident / 1e6)} MB`,
    service.pid === null ? '-' : duration(uptimeSeconds(service.pid)),
  ]);
  const total = measured.reduce((sum, { memory }) => sum + (memory?.share ?? 0), 0);
  return [
    `${state.endpoints.http}   models from ${state.models}   ${state.phase} since ${state.startedAt}`,
    ...table(['service', 'instance', 'pid', 'state', 'ports', 'restarts', 'rss', 'uptime'], rows),
    `${Math.round(total / 1e6)} MB in all, pages that processes share counted once (executors count with their worker)`,
  ];
}

/** `45 s`, `12 min`, `3.4 h`. */
export function duration(seconds: number | undefined): string {
  if (seconds === undefined) return '-';
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3_600).toFixed(1)} h`;
}
