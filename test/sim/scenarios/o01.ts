import { simulate } from '../run/simulate.ts';
import type { Scenario } from './scenario.ts';
import { BOUNDS, stepFigures, stepPlan } from './step.ts';

/** A step from 0.7 to several times capacity. */
export const o01: Scenario = {
  id: 'O1',
  title: 'step 0.7 → 2, 5, 10× for 20 s, vip at most half of capacity',
  baselines: true,
  cases: [2, 5, 10].map((load) => ({
    name: `${load}×`,
    run: (options) => {
      const outcome = simulate(stepPlan({ load }, options), options);
      return { figures: stepFigures(outcome, BOUNDS[load] as (typeof BOUNDS)[number]), events: outcome.events };
    },
  })),
};
