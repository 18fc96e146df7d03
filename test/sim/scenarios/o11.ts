import type { SimModel } from '../chain/spec.ts';
import { defaultModel, rowRate } from '../chain/spec.ts';
import type { Flow } from '../clients/flow.ts';
import { share, value } from '../measure/figures.ts';
import { simulate } from '../run/simulate.ts';
import type { Case, Scenario } from './scenario.ts';
import { ALONE, BASE_MS, phasesOf, pieces, stepPlan, WARM_MS } from './step.ts';

const FAST: SimModel = { name: 'fast', baseMs: 1, rowMs: 0.125, maxRows: 32, deadlineMs: 1_000 };
const SLOW: SimModel = { name: 'slow', baseMs: 40, rowMs: 5, maxRows: 32, deadlineMs: 2_000 };
const INSTANCES = 4;
const SECONDS = 10;

/** Both models on every instance, whose one executor runs one batch of either at a time. */
const shared = (load: number): Case => ({
  name: `5 ms and 200 ms on one worker, ${load}×`,
  run: (options) => {
    const flow = (model: SimModel): Flow => ({
      name: model.name,
      rank: 1,
      model,
      tenants: ALONE,
      pieces: pieces(INSTANCES * rowRate(model) * 1_000, [
        { seconds: (WARM_MS + BASE_MS) / 1_000, load: 0.3 },
        { seconds: SECONDS, load: load / 2 },
        { seconds: 5, load: 0.3 },
      ]),
      deadlinesMs: [model.deadlineMs],
      retry: 'budget',
    });
    const phases = phasesOf(SECONDS);
    const plan = { chain: { models: [FAST, SLOW], instances: INSTANCES }, flows: [flow(FAST), flow(SLOW)], phases };
    const outcome = simulate({ ...plan, endMs: (phases.at(-1)?.toMs ?? 0) + 500 }, options);
    const { fromMs, toMs } = outcome.tally.phase('overload');
    const all = outcome.tally.cell('overload');
    const of = (model: SimModel) => outcome.tally.cell('overload', (name) => name === model.name);
    return {
      figures: [
        share('admitted and answered in time', all.answered, all.admitted, { atLeast: 99.9 }, { atLeast: 99.99 }),
        value('goodput', '%', (100 * outcome.tally.work(fromMs, toMs)) / INSTANCES),
        value('fast answered', '%', 100 * of(FAST).success),
        value('slow answered', '%', 100 * of(SLOW).success),
        value('fast p99', 'ms', of(FAST).latency.quantile(0.99)),
      ],
      events: outcome.events,
    };
  },
});

/** The prediction is made after the features have come, for what is left then. */
const features: Case = {
  name: 'features of 0 to 1 s, 2×',
  run: (options) => {
    const model = { ...defaultModel, deadlineMs: 1_500 };
    const chain = { features: { fromMs: 0, toMs: 1_000 }, models: [model] };
    const outcome = simulate(stepPlan({ load: 2, chain, model, seconds: SECONDS }, options), options);
    const { fromMs, toMs } = outcome.tally.phase('overload');
    const all = outcome.tally.cell('overload');
    return {
      figures: [
        share('admitted and answered in time', all.answered, all.admitted, { atLeast: 99.9 }, { atLeast: 99.99 }),
        value('goodput', '%', (100 * outcome.tally.work(fromMs, toMs)) / outcome.instances),
      ],
      events: outcome.events,
    };
  },
};

/** What the simpler models leave out. */
export const o11: Scenario = {
  id: 'O11',
  title: 'models of 5 ms and 200 ms on one worker; features of 0 to 1 s before the queue',
  baselines: false,
  cases: [shared(0.8), shared(2), features],
};
