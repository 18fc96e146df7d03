import type { ChainSpec } from '../chain/spec.ts';
import { alwaysMisled, goodput, isVip, share, value } from '../measure/figures.ts';
import { simulate } from '../run/simulate.ts';
import type { Case, Scenario } from './scenario.ts';
import { stepPlan } from './step.ts';

const wrong = (name: string, chain: Partial<ChainSpec>): Case => ({
  name,
  run: (options) => {
    const outcome = simulate(stepPlan({ load: 5, chain, seconds: 10 }, options), options);
    const { fromMs, toMs } = outcome.tally.phase('overload');
    const vip = outcome.tally.cell('overload', isVip);
    return {
      figures: [
        value('goodput', '%', goodput(outcome, fromMs, toMs), { atLeast: 95 }),
        share('vip answered', vip.answered, vip.calls, { atLeast: 99.99 }),
        ...alwaysMisled(outcome, 'overload'),
      ],
      events: outcome.events,
    };
  },
});

/** Estimates that are wrong and stay wrong. */
export const o07: Scenario = {
  id: 'O7',
  title: '5× with capacity believed half or double, run times reported half or double, run times ± 60 %',
  baselines: false,
  cases: [
    wrong('capacity × 0.5', { believed: { capacity: 0.5, runTime: 1 } }),
    wrong('capacity × 2', { believed: { capacity: 2, runTime: 1 } }),
    wrong('run time × 0.5', { believed: { capacity: 1, runTime: 0.5 } }),
    wrong('run time × 2', { believed: { capacity: 1, runTime: 2 } }),
    wrong('run time ± 60 %', { noise: 0.6 }),
  ],
};
