import type { KeyRecord } from '@spillway/contracts/buckets';
import { type ChainSpec, defaultModel, rowRate } from '../chain/spec.ts';
import type { Flow } from '../clients/flow.ts';
import { value } from '../measure/figures.ts';
import { simulate } from '../run/simulate.ts';
import type { Case, Scenario } from './scenario.ts';
import { ALONE, BOUNDS, capacityOf, pieces, stepFigures, stepPlan } from './step.ts';

/** A key whose quota is this share of one instance. */
export const keyWithQuota = (id: string, instances: number): KeyRecord => ({
  id,
  sha256: '',
  tenant: id,
  class: 'standard',
  scopes: [],
  quota: { costPerSecond: instances * 1_000 },
});

const fleet = (name: string, chain: Partial<ChainSpec>, gatewayShares?: readonly number[]): Case => ({
  name,
  run: (options) => {
    const plan = stepPlan({ load: 5, chain, seconds: 10 }, options);
    const outcome = simulate(gatewayShares === undefined ? plan : { ...plan, gatewayShares }, options);
    return { figures: stepFigures(outcome, BOUNDS[5] as (typeof BOUNDS)[5]), events: outcome.events };
  },
});

/** A tenant offers three times its quota to an idle mesh, 70/20/10 over the gateways. */
const quota: Case = {
  name: 'a quota over three gateways, 70/20/10',
  run: (options) => {
    const capacity = capacityOf();
    const flow = (name: string, load: number, keyId: string): Flow => ({
      name,
      rank: 1,
      model: defaultModel,
      tenants: [{ name: keyId, keyId, share: 1 }],
      pieces: pieces(capacity, [{ seconds: 33, load }]),
      deadlinesMs: [200],
      retry: 'none',
    });
    const instances = 0.4;
    const outcome = simulate(
      {
        chain: { keys: [keyWithQuota('q', instances)] },
        flows: [flow('q', (3 * instances) / 4, 'q'), { ...flow('others', 0.2, 'k'), tenants: ALONE }],
        phases: [{ name: 'all', fromMs: 13_000, toMs: 33_000 }],
        gatewayShares: [70, 20, 10],
        endMs: 33_500,
      },
      options,
    );
    const admitted = outcome.tally.cell('all', (name) => name === 'q').admitted / 20_000; // rows per ms
    const allowed = instances * rowRate(defaultModel);
    return {
      figures: [value('admitted over quota', '×', admitted / allowed, { atLeast: 0.98, atMost: 1.02 })],
      events: outcome.events,
    };
  },
};

/** More processes, unevenly loaded. */
export const o06: Scenario = {
  id: 'O6',
  title: '3 gateways × 2 batchers and 8 × 4 at 5×, traffic split 70/20/10; quotas of several gateways',
  baselines: false,
  cases: [
    fleet('3 × 2, 70/20/10', {}, [70, 20, 10]),
    fleet('8 × 4', { gateways: 8, batchers: 4, instances: 8 }),
    quota,
  ],
};
