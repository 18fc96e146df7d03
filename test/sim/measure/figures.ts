import type { Outcome } from '../run/simulate.ts';
import { BIN_MS, type Cell } from './tally.ts';

/** Either end may be missing. */
export type Bound = { atLeast?: number; atMost?: number };

/**
 * What a run shows. `hits` of `n`: a share, pooled over the runs of several seeds; else a value, of which the worst run counts.
 * Without `must` it is told, not judged.
 */
export type Figure = {
  name: string;
  unit: '%' | 'ms' | 's' | '×' | '';
  value: number;
  hits?: number;
  n?: number;
  must?: Bound;
  aim?: Bound;
};

export const share = (name: string, hits: number, n: number, must?: Bound, aim?: Bound): Figure => ({
  name,
  unit: '%',
  value: n === 0 ? Number.NaN : (100 * hits) / n,
  hits,
  n,
  ...(must && { must }),
  ...(aim && { aim }),
});

export const value = (name: string, unit: Figure['unit'], amount: number, must?: Bound, aim?: Bound): Figure => ({
  name,
  unit,
  value: amount,
  ...(must && { must }),
  ...(aim && { aim }),
});

export const within = (figure: number, { atLeast, atMost }: Bound): boolean =>
  figure >= (atLeast ?? Number.NEGATIVE_INFINITY) && figure <= (atMost ?? Number.POSITIVE_INFINITY);

/** Goodput in % of the capacity of all instances. */
export const goodput = ({ tally, instances }: Outcome, fromMs: number, toMs: number): number =>
  (100 * tally.work(fromMs, toMs)) / instances;

export const isVip = (flow: string): boolean => flow.startsWith('vip');

/** Slots of 100 ms: shorter ones hold too few batches to judge. */
const SLOT_MS = 2 * BIN_MS;

/** From a step to the first second in which every slot has this goodput, in ms. */
export function stableAfterMs(outcome: Outcome, fromMs: number, toMs: number, percent: number): number {
  let good = 0;
  for (let atMs = fromMs; atMs + SLOT_MS <= toMs; atMs += SLOT_MS) {
    good = goodput(outcome, atMs, atMs + SLOT_MS) >= percent ? good + 1 : 0;
    if (good * SLOT_MS >= 1_000) return atMs + SLOT_MS - 1_000 - fromMs;
  }
  return toMs - fromMs;
}

/** From the end of an overload to the first second in which every slot has this success, in ms. */
export function recoveredAfterMs({ tally }: Outcome, fromMs: number, toMs: number, success: number): number {
  let good = 0;
  for (let atMs = fromMs; atMs + SLOT_MS <= toMs; atMs += SLOT_MS) {
    good = tally.successBetween(atMs, atMs + SLOT_MS) >= success ? good + 1 : 0;
    if (good * SLOT_MS >= 1_000) return atMs + SLOT_MS - 1_000 - fromMs;
  }
  return Number.POSITIVE_INFINITY;
}

/** What holds in every scenario. */
export function always({ tally }: Outcome, phase: string, prefix = ''): Figure[] {
  const all = tally.cell(phase);
  const runs = tally.runsOf(phase);
  return [
    share(`${prefix}failures refused within 10 ms`, all.refusedSoon, all.failures, { atLeast: 99 }, { atLeast: 99.9 }),
    value(`${prefix}rows started after their deadline`, '', runs.startedLate, { atMost: 0 }),
    share(`${prefix}rows run for nobody`, runs.endedLate, runs.rows, { atMost: 2 }, { atMost: 0.5 }),
    share(`${prefix}admitted and answered in time`, all.answered, all.admitted, { atLeast: 99.9 }, { atLeast: 99.99 }),
  ];
}

/** The same where the gateways are misled by construction: what they let in too much is dropped, which is told, not judged. */
export const alwaysMisled = (outcome: Outcome, phase: string): Figure[] =>
  always(outcome, phase).map(({ must, aim, ...told }) =>
    told.name.startsWith('rows') ? { ...told, ...(must && { must }), ...(aim && { aim }) } : told,
  );

export const quantiles = (cell: Cell): { p50: number; p99: number; p999: number } => ({
  p50: cell.latency.quantile(0.5),
  p99: cell.latency.quantile(0.99),
  p999: cell.latency.quantile(0.999),
});
