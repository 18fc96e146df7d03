import type { Kind } from '@spillway/load/kind';
import type { Profile } from '@spillway/load/profile';
import { progressLine } from '@spillway/load/progress';
import type { GroupReport, PhaseReport } from '@spillway/load/report';
import { answersPerSecond, at, phaseOf } from '@spillway/load/report-parts';
import type { LoadOptions } from '@spillway/load/run-load';
import type { Mesh, MeshOptions } from '@spillway/testing/mesh';
import { type Bound, type Figure, share, value } from '../../sim/measure/figures.ts';
import type { LoadFaults } from '../../support/load-faults.ts';
import { floodMix, type MixOptions } from '../flood/mix.ts';
import { type FloodRun, runFlood } from '../flood/one-flood.ts';

/** The model that all scenarios load: it takes a stated time and no processor. */
export const MODEL = 'simulated';
/** Requests/s of one worker with batches of 32: 32 rows in 40 + 32 · 2 ms, `models/simulated/model.yaml`. */
export const WORKER_CAPACITY = 32_000 / 104;

export type Context = {
  mesh: Mesh;
  seed: number;
  /** Recorded arrivals for O16. */
  traces: readonly string[];
  say: (text: string) => void;
  /** Of what gateways and batchers hear, for cases that ask for it. */
  loadFaults: LoadFaults;
};

export type Case = {
  name: string;
  mesh?: MeshOptions;
  needsTraces?: boolean;
  loadFaults?: boolean;
  run(context: Context): Promise<Figure[]>;
};

/** One line of the table in overload.md, on processes that run. */
export type Scenario = { id: string; title: string; cases: readonly Case[] };

export const kindsOf = (mesh: Mesh, mix: Partial<MixOptions> & Pick<MixOptions, 'times'>): Kind[] =>
  floodMix({ model: MODEL, keys: mesh.keys, capacity: WORKER_CAPACITY, deadlineMs: 1_000, ...mix });

type Load = { title: string; kinds: readonly Kind[]; profile: Profile } & Pick<
  LoadOptions,
  'metrics' | 'onProgress' | 'capacity'
>;

/** Loads the first gateway. */
export function load({ mesh, seed, say }: Context, { profile, onProgress, ...rest }: Load): Promise<FloodRun> {
  return runFlood(mesh, {
    capacity: WORKER_CAPACITY,
    ...rest,
    plan: { profile, process: 'poisson' },
    seed,
    onProgress: (progress) => {
      say(progressLine(progress));
      onProgress?.(progress);
    },
  });
}

/** Milliseconds. */
export const p99 = ({ latency }: Pick<GroupReport, 'latency'>): number => at(latency, 0.99) ?? Number.NaN;

/** Answers per second over what could be, %. */
export const goodputOf = (phase: PhaseReport, capacity = WORKER_CAPACITY): number =>
  (100 * answersPerSecond(phase)) / capacity;

/** Tries that were not answered, or not in time. */
export const failuresOf = ({ refused, late, failed, wrong }: GroupReport): number => refused + late + failed + wrong;

export const answered = (name: string, group: GroupReport, must?: Bound): Figure =>
  share(name, group.served, group.offered, must);

/** What holds in every scenario; a run in which the generator was late says so. */
export function always({ report, rows }: FloodRun, phase: string): Figure[] {
  const { all } = phaseOf(report, phase);
  const lateness = report.generator.latenessP99Ms ?? 0;
  return [
    share('failures refused within 10 ms', all.promptRefusals, failuresOf(all), { atLeast: 99 }),
    value('rows started after their deadline', '', rows.startedLate, { atMost: 0 }),
    share('rows ended after it', rows.wasted, rows.ran, { atMost: 2 }),
    ...(lateness > 5 ? [value('void: p99 of how late requests were sent', 'ms', lateness, { atMost: 5 })] : []),
  ];
}
