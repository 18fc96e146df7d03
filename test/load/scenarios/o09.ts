import { constantRate } from '@spillway/load/profile';
import { groupOf, phaseOf } from '@spillway/load/report-parts';
import { value } from '../../sim/measure/figures.ts';
import { answered, goodputOf, kindsOf, load, type Scenario, WORKER_CAPACITY } from './scenario.ts';

const VIP = 0.75;
const SECONDS = 15;
const FLOOD = 'flood';

export const o09: Scenario = {
  id: 'O9',
  title: 'vip at 75 % of capacity: the floor of bulk',
  cases: [0.95, 1.5, 2, 5].map((times) => ({
    name: `${times}×`,
    run: async (context) => {
      const rest = times - VIP;
      const weights: Record<string, number> = { vip: VIP, standard: (rest * 2) / 3, bulk: rest / 3 };
      const kinds = kindsOf(context.mesh, { times }).map((kind) => ({ ...kind, weight: weights[kind.name] as number }));
      const profile = [
        { label: 'before', pieces: constantRate(0.5 * WORKER_CAPACITY, 4_000) },
        { label: FLOOD, pieces: constantRate(times * WORKER_CAPACITY, SECONDS * 1_000) },
      ];
      const run = await load(context, { title: `O9 ${times}×`, kinds, profile });
      const flood = phaseOf(run.report, FLOOD);
      const bulk = groupOf(flood, 'bulk');
      return [
        value('bulk goodput', '%', (100 * (bulk.good + bulk.degraded)) / SECONDS / WORKER_CAPACITY, { atLeast: 2 }),
        value('goodput', '%', goodputOf(flood)),
        answered('vip answered', groupOf(flood, 'vip'), { atLeast: 99.99 }),
      ];
    },
  })),
};
