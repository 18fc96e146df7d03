import type { ChainSpec } from '../chain/spec.ts';
import { alwaysMisled, type Bound, goodput, isVip, share, value } from '../measure/figures.ts';
import { simulate } from '../run/simulate.ts';
import type { Case, Scenario } from './scenario.ts';
import { BASE_MS, stepPlan, WARM_MS } from './step.ts';

const STEP_MS = WARM_MS + BASE_MS;

const stale = (name: string, chain: Partial<ChainSpec>, atLeast: number, lengthMs: number): Case => ({
  name,
  run: (options) => {
    const outcome = simulate(stepPlan({ load: 5, chain, seconds: 10 }, options), options);
    const vip = outcome.tally.cell('overload', isVip);
    const { toMs } = outcome.tally.phase('overload');
    const must: Bound = { atLeast };
    return {
      figures: [
        value('goodput', '%', goodput(outcome, STEP_MS, Math.min(toMs, STEP_MS + lengthMs)), must),
        share('vip answered', vip.answered, vip.calls, { atLeast: 99.99 }),
        ...alwaysMisled(outcome, 'overload'),
      ],
      events: outcome.events,
    };
  },
});

/** Gateways that know the mesh as it was. */
export const o05: Scenario = {
  id: 'O5',
  title: '5× with state delayed by 50, 250, 1,000 ms; with none for 5 s from just before the step',
  baselines: false,
  cases: [
    stale('50 ms', { stateDelayMs: 50 }, 97, 10_000),
    stale('250 ms', { stateDelayMs: 250 }, 95, 10_000),
    stale('1,000 ms', { stateDelayMs: 1_000 }, 90, 10_000),
    stale('silent 5 s', { silent: { fromMs: STEP_MS - 200, toMs: STEP_MS + 4_800 } }, 90, 5_000),
  ],
};
