import { defaultModel } from '../chain/spec.ts';
import type { Flow } from '../clients/flow.ts';
import { isVip, share, value } from '../measure/figures.ts';
import { simulate } from '../run/simulate.ts';
import type { Scenario } from './scenario.ts';
import { ALONE, BASE_MS, capacityOf, phasesOf, pieces, WARM_MS } from './step.ts';

const VIP = 0.75;
const SECONDS = 10;

/** The lowest class while the others want everything. */
export const o09: Scenario = {
  id: 'O9',
  title: '0.95 to 5× with vip at 75 % of capacity: the floor of bulk',
  baselines: false,
  cases: [0.95, 1.5, 2, 5].map((load) => ({
    name: `${load}×`,
    run: (options) => {
      const rest = load - VIP;
      const flow = (name: string, rank: number, over: number): Flow => ({
        name,
        rank,
        model: defaultModel,
        tenants: ALONE,
        pieces: pieces(capacityOf(), [
          { seconds: (WARM_MS + BASE_MS) / 1_000, load: over / load / 2 },
          { seconds: SECONDS, load: over },
          { seconds: 5, load: over / load / 2 },
        ]),
        deadlinesMs: [200],
        retry: 'budget',
      });
      const phases = phasesOf(SECONDS);
      const flows = [flow('vip', 0, VIP), flow('standard', 1, (rest * 2) / 3), flow('bulk', 2, rest / 3)];
      const outcome = simulate({ flows, phases, endMs: phases.at(-1)?.toMs ?? 0 }, options);
      const { fromMs, toMs } = outcome.tally.phase('overload');
      const vip = outcome.tally.cell('overload', isVip);
      const bulk = (100 * outcome.tally.work(fromMs + 500, toMs, (name) => name === 'bulk')) / outcome.instances;
      return {
        figures: [
          value('bulk goodput', '%', bulk, { atLeast: 2 }),
          value('goodput', '%', (100 * outcome.tally.work(fromMs, toMs)) / outcome.instances),
          share('vip answered', vip.answered, vip.calls, { atLeast: 99.99 }),
          value('vip p99', 'ms', vip.latency.quantile(0.99)),
        ],
        events: outcome.events,
      };
    },
  })),
};
