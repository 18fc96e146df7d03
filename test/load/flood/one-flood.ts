import { measureCapacity } from '@spillway/load/capacity';
import { progressLine } from '@spillway/load/progress';
import type { LoadReport } from '@spillway/load/report';
import { type LoadOptions, runLoad } from '@spillway/load/run-load';
import type { Mesh } from '@spillway/testing/mesh';
import { counterSum } from './mesh-metrics.ts';
import { floodMix, type MixOptions, standardKind, stepProfile, vipShare } from './mix.ts';

export type FloodOptions = Pick<MixOptions, 'model' | 'capacity' | 'times' | 'deadlineMs'> & {
  retry?: MixOptions['retry'];
  protocol?: MixOptions['protocol'];
  rows?: MixOptions['rows'];
  /** The flood lasts until so many calls of vip were offered, and at least `seconds`. */
  vipCalls: number;
  seconds: { calm: number; flood: number; after: number };
  seed: number;
  onProgress?: (line: string) => void;
};

export type FloodRun = {
  report: LoadReport;
  /** Rows: `late` began after their deadline, `wasted` ended after it; of all that ran. */
  rows: { ran: number; startedLate: number; wasted: number };
};

const deadlineRows = async (mesh: Mesh): Promise<FloodRun['rows']> => {
  const of = (name: string): Promise<number> => counterSum(mesh, 'batcher', name);
  return {
    ran: await of('spillway_batch_size_rows_sum'),
    startedLate: await of('spillway_late_started_rows_total'),
    wasted: await of('spillway_late_finished_rows_total'),
  };
};

/** One flood against a mesh that runs: calm, flood, calm again. */
export function oneFlood(mesh: Mesh, options: FloodOptions): Promise<FloodRun> {
  const { capacity, times, seconds, vipCalls, seed, onProgress } = options;
  const vipRate = vipShare(times) * times * capacity;
  const flood = Math.max(seconds.flood, Math.ceil(vipCalls / vipRate));
  return runFlood(mesh, {
    title: `${options.model} at ${times} times its capacity`,
    kinds: floodMix({ ...options, keys: mesh.keys }),
    plan: { profile: stepProfile(options, { ...seconds, flood }), process: 'poisson' },
    capacity,
    seed,
    ...(onProgress && { onProgress: (progress) => onProgress(progressLine(progress)) }),
  });
}

/** Loads the first gateway of a mesh that runs and counts the rows that ran meanwhile. */
export async function runFlood(mesh: Mesh, load: Omit<LoadOptions, 'targets'>): Promise<FloodRun> {
  const before = await deadlineRows(mesh);
  const report = await runLoad({ ...load, targets: { http: mesh.url, grpc: mesh.grpc } });
  const after = await deadlineRows(mesh);
  return {
    report,
    rows: {
      ran: after.ran - before.ran,
      startedLate: after.startedLate - before.startedLate,
      wasted: after.wasted - before.wasted,
    },
  };
}

/** What the mesh serves of a model when there is always something to do, requests/s. */
export async function capacityOf(
  mesh: Mesh,
  load: { model: string; deadlineMs: number; inFlight: number; seconds: number; rows?: number },
): Promise<number> {
  const { model, deadlineMs, inFlight, seconds, rows } = load;
  const measured = await measureCapacity({
    kind: standardKind({ model, keys: mesh.keys, deadlineMs, rows }),
    targets: { http: mesh.url },
    inFlight,
    warmUpMs: 2_000,
    measureMs: seconds * 1_000,
  });
  return measured.perSecond;
}
