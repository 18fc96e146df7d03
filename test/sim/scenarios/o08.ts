import { defaultModel } from '../chain/spec.ts';
import type { Flow, Tenant } from '../clients/flow.ts';
import { share, value } from '../measure/figures.ts';
import type { Tally } from '../measure/tally.ts';
import { type Plan, simulate } from '../run/simulate.ts';
import { keyWithQuota } from './o06.ts';
import type { Scenario } from './scenario.ts';
import { BASE_MS, capacityOf, pieces, WARM_MS } from './step.ts';

const SECONDS = 60; // long enough that the burst of two seconds that a quota allows is not 1 % of it
const isOthers = (flow: string): boolean => flow === 'others';

/** One tenant changes from `calm` to `wild` (shares of capacity) while the others go on. */
function plan(others: readonly Tenant[], othersLoad: number, offender: { calm: number; wild: number }): Plan {
  const stepMs = WARM_MS + BASE_MS;
  const flow = (name: string, tenants: readonly Tenant[], calm: number, wild: number): Flow => ({
    name,
    rank: 1,
    model: defaultModel,
    tenants,
    pieces: pieces(capacityOf(), [
      { seconds: stepMs / 1_000, load: calm },
      { seconds: SECONDS, load: wild },
    ]),
    deadlinesMs: [200],
    retry: 'none',
  });
  return {
    chain: { keys: [keyWithQuota('offender', 0.2)] },
    flows: [
      flow('others', others, othersLoad, othersLoad),
      flow('offender', [{ name: 'offender', keyId: 'offender', share: 1 }], offender.calm, offender.wild),
    ],
    phases: [
      { name: 'before', fromMs: WARM_MS, toMs: stepMs },
      { name: 'during', fromMs: stepMs, toMs: stepMs + SECONDS * 1_000 },
    ],
    endMs: stepMs + SECONDS * 1_000 + 500,
  };
}

const TEN: Tenant[] = Array.from({ length: 10 }, (_, n) => ({ name: `t${n}`, keyId: '', share: 1 }));

const successes = (tally: Tally) => {
  const [before, during] = [tally.cell('before', isOthers), tally.cell('during', isOthers)];
  return { before, during, lostPoints: 100 * (before.success - during.success) };
};

/** One tenant wants everything. */
export const o08: Scenario = {
  id: 'O8',
  title: 'one tenant at 100 times its quota; one at 50 shares beside ten at one',
  baselines: false,
  cases: [
    {
      name: '100 times the quota',
      run: (options) => {
        const outcome = simulate(plan(TEN, 0.6, { calm: 0.05, wild: 5 }), options);
        const { before, during, lostPoints } = successes(outcome.tally);
        const [p99Before, p99] = [before.latency.quantile(0.99), during.latency.quantile(0.99)];
        return {
          figures: [
            value('p99 of the others over before', '×', p99 / p99Before, { atMost: 1.05 }),
            value('success of the others lost, points', '', lostPoints, { atMost: 0.01 }),
            share('others answered', during.answered, during.calls),
          ],
          events: outcome.events,
        };
      },
    },
    {
      name: '50 shares, 3×',
      run: (options) => {
        const withoutKey = plan(TEN, 0.5, { calm: 0.05, wild: 2.5 });
        const outcome = simulate({ ...withoutKey, chain: {} }, options);
        const { during, lostPoints } = successes(outcome.tally);
        return {
          figures: [
            value('success of the others lost, points', '', lostPoints, { atMost: 0.01 }),
            share('others answered', during.answered, during.calls),
            value('p99 of the others', 'ms', during.latency.quantile(0.99)),
          ],
          events: outcome.events,
        };
      },
    },
  ],
};
