import type { Piece } from '@spillway/load/profile';
import { type ChainSpec, defaultChain, defaultModel, rowRate, type SimModel } from '../chain/spec.ts';
import type { Flow, RetryBehaviour } from '../clients/flow.ts';
import {
  always,
  type Figure,
  goodput,
  isVip,
  quantiles,
  recoveredAfterMs,
  share,
  stableAfterMs,
  value,
} from '../measure/figures.ts';
import type { Phase } from '../measure/tally.ts';
import type { Outcome, Plan, RunOptions } from '../run/simulate.ts';

/** Learning time, then load 0.7 for comparison, then the overload, then load 0.7 again. */
export const WARM_MS = 3_000;
export const BASE_MS = 5_000;
export const AFTER_MS = 5_000;
export const BASE_LOAD = 0.7;
export const OVERLOAD_SECONDS = 20;

export const ALONE = [{ name: 't', keyId: 'k', share: 1 }];

/** Rows per second of the whole chain. */
export const capacityOf = (chain: Partial<ChainSpec> = {}, model: SimModel = defaultModel): number =>
  (chain.instances ?? defaultChain.instances) * rowRate(model) * 1_000;

/** Share of capacity that each class offers at `load` times capacity: vip 10 % of it but at most half of capacity, bulk 30 %. */
export function mix(load: number): number[] {
  const vip = Math.min(0.1 * load, 0.5);
  const rest = load - vip;
  return [vip, (rest * 2) / 3, rest / 3];
}

export type StepOptions = {
  load: number;
  chain?: Partial<ChainSpec>;
  model?: SimModel;
  retry?: RetryBehaviour;
  seconds?: number;
  deadlinesMs?: readonly number[];
  /** Of each request. */
  rows?: number;
};

const CLASS_NAMES = ['vip', 'standard', 'bulk'];

export const phasesOf = (seconds: number): Phase[] => {
  const stepMs = WARM_MS + BASE_MS;
  const endMs = stepMs + seconds * 1_000;
  return [
    { name: 'base', fromMs: WARM_MS, toMs: stepMs },
    { name: 'overload', fromMs: stepMs, toMs: endMs },
    { name: 'after', fromMs: endMs, toMs: endMs + AFTER_MS },
  ];
};

/** A load given by its share of capacity for each class. */
export const pieces = (rate: number, parts: readonly { seconds: number; load: number }[]): Piece[] =>
  parts.map(({ seconds, load }) => ({ durationMs: seconds * 1_000, fromRate: rate * load, toRate: rate * load }));

/** Load 0.7, then `load` for some seconds, then 0.7. */
export function stepPlan(options: StepOptions, run: RunOptions): Plan {
  const { load, chain = {}, retry = 'budget', deadlinesMs, rows = 1 } = options;
  const model = options.model ?? chain.models?.[0] ?? defaultModel;
  const seconds = run.seconds ?? options.seconds ?? OVERLOAD_SECONDS;
  const capacity = capacityOf(chain, model) / rows;
  const [low, high] = [mix(BASE_LOAD), mix(load)];
  const flows = CLASS_NAMES.map((name, rank): Flow => {
    const [base, over] = [low[rank] as number, high[rank] as number];
    return {
      name,
      rank,
      model,
      tenants: ALONE,
      pieces: pieces(capacity, [
        { seconds: (WARM_MS + BASE_MS) / 1_000, load: base },
        { seconds, load: over },
        { seconds: AFTER_MS / 1_000, load: base },
      ]),
      deadlinesMs: deadlinesMs ?? [model.deadlineMs],
      retry,
      rows,
    };
  });
  const phases = phasesOf(seconds);
  return { chain: { ...chain, models: [model] }, flows, phases, endMs: (phases.at(-1) as Phase).toMs + 500 };
}

/** What an overload must not do to goodput and to vip. */
export type StepBounds = { goodput: number; aim: number; vipP99: number; vipP99Aim: number };

export const BOUNDS: Record<number, StepBounds> = {
  1.5: { goodput: 97, aim: 99, vipP99: 2, vipP99Aim: 1.5 },
  2: { goodput: 97, aim: 99, vipP99: 2, vipP99Aim: 1.5 },
  3: { goodput: 97, aim: 99, vipP99: 2, vipP99Aim: 1.5 },
  5: { goodput: 95, aim: 98, vipP99: 2, vipP99Aim: 1.5 },
  10: { goodput: 90, aim: 95, vipP99: 2, vipP99Aim: 1.5 },
};

/** The figures of O1. */
export function stepFigures(outcome: Outcome, bounds: StepBounds): Figure[] {
  const { tally } = outcome;
  const { fromMs, toMs } = tally.phase('overload');
  const after = tally.phase('after');
  const vip = tally.cell('overload', isVip);
  const all = tally.cell('overload');
  const before = quantiles(tally.cell('base', isVip));
  const now = quantiles(vip);
  return [
    value('goodput', '%', goodput(outcome, fromMs, toMs), { atLeast: bounds.goodput }, { atLeast: bounds.aim }),
    share('vip answered', vip.answered, vip.calls, { atLeast: 99.99 }),
    value('vip p50', 'ms', now.p50),
    value('vip p99', 'ms', now.p99),
    value('vip p99.9', 'ms', now.p999),
    value('vip p99 over load 0.7', '×', now.p99 / before.p99, { atMost: bounds.vipP99 }, { atMost: bounds.vipP99Aim }),
    value(
      'stable after',
      'ms',
      stableAfterMs(outcome, fromMs, toMs, bounds.goodput - 7),
      { atMost: 500 },
      { atMost: 200 },
    ),
    value(
      'recovered after',
      'ms',
      recoveredAfterMs(outcome, toMs, after.toMs, 0.99),
      { atMost: 2_000 },
      { atMost: 1_000 },
    ),
    ...always(outcome, 'overload'),
    value('attempts per request', '', all.attempts / all.calls),
    value('bulk goodput', '%', (100 * tally.work(fromMs, toMs, (flow) => flow === 'bulk')) / outcome.instances),
  ];
}
