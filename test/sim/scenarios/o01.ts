import { simulate } from '../run/simulate.ts';
import type { Case, Scenario } from './scenario.ts';
import { BOUNDS, type StepBounds, type StepOptions, stepFigures, stepPlan } from './step.ts';

/** One instance, and each request fills a batch alone: a few tens of requests a second. */
const WHOLE_BATCHES: Omit<StepOptions, 'load'> = {
  rows: 32,
  chain: { gateways: 1, batchers: 1, instances: 1 },
  model: { name: 'm', baseMs: 0.3, rowMs: 0.41, maxRows: 32, deadlineMs: 1_000 },
  seconds: 60,
};
/** Of so few vip calls a second, those before the overload say too little. */
const TOO_FEW = 'vip p99 over load 0.7';

const caseOf = (name: string, step: StepOptions): Case => ({
  name,
  run: (options) => {
    const outcome = simulate(stepPlan(step, options), options);
    const figures = stepFigures(outcome, BOUNDS[step.load] as StepBounds);
    return {
      figures: step.rows === undefined ? figures : figures.filter((figure) => figure.name !== TOO_FEW),
      events: outcome.events,
    };
  },
});

/** A step from 0.7 to several times capacity. */
export const o01: Scenario = {
  id: 'O1',
  title: 'step 0.7 → 2, 5, 10× for 20 s, vip at most half of capacity',
  baselines: true,
  cases: [2, 5, 10].flatMap((load) => [
    caseOf(`${load}×`, { load }),
    caseOf(`${load}× of whole batches`, { load, ...WHOLE_BATCHES }),
  ]),
};
