import { value } from '../measure/figures.ts';
import { simulate } from '../run/simulate.ts';
import type { Scenario } from './scenario.ts';
import { BOUNDS, stepFigures, stepPlan } from './step.ts';

/** Clients that take no advice. */
export const o03: Scenario = {
  id: 'O3',
  title: 'clients try 4 times at once, whatever they are told',
  baselines: true,
  cases: [2, 5, 10].map((load) => ({
    name: `${load}×`,
    run: (options) => {
      const outcome = simulate(stepPlan({ load, retry: 'naive', seconds: 10 }, options), options);
      const all = outcome.tally.cell('overload');
      return {
        figures: [
          ...stepFigures(outcome, BOUNDS[load] as (typeof BOUNDS)[number]),
          value('attempts taken in per request', '', all.admitted / all.calls, { atMost: 1.1 }),
        ],
        events: outcome.events,
      };
    },
  })),
};
