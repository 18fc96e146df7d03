import type { Mesh } from '../chain/mesh.ts';
import { isVip, share, value } from '../measure/figures.ts';
import { type Plan, simulate } from '../run/simulate.ts';
import type { Scenario } from './scenario.ts';
import { BASE_LOAD, BASE_MS, capacityOf, stepPlan, WARM_MS } from './step.ts';

const FLOOD_SECONDS = 5;
const DRAIN_SECONDS = 60;

/** What did not fit becomes jobs, which run in what is left afterwards. */
export const o13: Scenario = {
  id: 'O13',
  title: '3× for 5 s with tickets for bulk, then the jobs drain beside load 0.7',
  baselines: false,
  cases: [
    {
      name: '3×',
      run: (options) => {
        const plan = stepPlan(
          { load: 3, seconds: FLOOD_SECONDS, retry: 'none' },
          { ...options, seconds: FLOOD_SECONDS },
        );
        const floodMs = WARM_MS + BASE_MS;
        const calmMs = floodMs + FLOOD_SECONDS * 1_000 + 2_000;
        const flows = plan.flows.map((flow) => {
          const calm = flow.pieces[0] as (typeof flow.pieces)[number];
          const longer = [...flow.pieces.slice(0, 2), { ...calm, durationMs: DRAIN_SECONDS * 1_000 }];
          return { ...flow, pieces: longer, acceptsTicket: flow.rank === 2 };
        });
        const phases = [
          { name: 'base', fromMs: WARM_MS, toMs: floodMs },
          { name: 'flood', fromMs: floodMs, toMs: calmMs },
          { name: 'drain', fromMs: calmMs, toMs: calmMs + 5_000 },
        ];
        const drained: Plan = { ...plan, flows, phases, endMs: calmMs + DRAIN_SECONDS * 1_000 };
        const outcome = simulate(drained, options);
        const { taken, endedAtMs, open } = (outcome.mesh as Mesh).jobs;
        const endMs = endedAtMs.at(-1) ?? 0;
        const ended = endedAtMs.filter((atMs) => atMs >= calmMs).length;
        const rate = endMs > calmMs ? (ended * 1_000) / (endMs - calmMs) : Number.NaN;
        const [base, drain] = ['base', 'drain'].map((phase) => outcome.tally.cell(phase, isVip)) as [
          ReturnType<typeof outcome.tally.cell>,
          ReturnType<typeof outcome.tally.cell>,
        ];
        return {
          figures: [
            value('jobs', '', taken, { atLeast: 1 }),
            share('jobs done', taken - open, taken, { atLeast: 100 }),
            value(
              'vip p99 while they drain, over before',
              '×',
              drain.latency.quantile(0.99) / base.latency.quantile(0.99),
              { atMost: 1.2 },
            ),
            value('spare capacity used', '%', (100 * rate) / (capacityOf() * (1 - BASE_LOAD)), { atLeast: 90 }),
          ],
          events: outcome.events,
        };
      },
    },
  ],
};
