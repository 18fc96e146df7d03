import { groupOf, phaseOf } from '@spillway/load/report-parts';
import { value } from '../../sim/measure/figures.ts';
import { CALM, FLOOD, stepProfile } from '../flood/mix.ts';
import { always, answered, goodputOf, kindsOf, load, p99, type Scenario, WORKER_CAPACITY } from './scenario.ts';

const SECONDS = { calm: 15, flood: 25, after: 8 };

export const o03: Scenario = {
  id: 'O3',
  title: 'clients that try 4 times at once, whatever they are told',
  cases: [2, 5].map((times) => ({
    name: `${times}×`,
    run: async (context) => {
      const kinds = kindsOf(context.mesh, { times, retry: { kind: 'naive', tries: 4 } });
      const profile = stepProfile({ capacity: WORKER_CAPACITY, times }, SECONDS);
      const run = await load(context, { title: `O3 ${times}×`, kinds, profile });
      const [calm, flood] = [phaseOf(run.report, CALM), phaseOf(run.report, FLOOD)];
      const vip = groupOf(flood, 'vip');
      const served = run.report.phases.reduce((sum, { all }) => sum + all.served, 0);
      return [
        value('goodput', '%', goodputOf(flood), { atLeast: times > 2 ? 95 : 97 }),
        answered('vip answered', vip, { atLeast: 99.99 }),
        value('vip p99 over load 0.7', '×', p99(vip) / p99(groupOf(calm, 'vip')), { atMost: 2 }),
        value('rows run for each request answered', '', run.rows.ran / served, { atMost: 1.1 }),
        ...always(run, FLOOD),
      ];
    },
  })),
};
