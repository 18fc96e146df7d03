import type { Kind } from '@spillway/load/kind';
import { constantRate } from '@spillway/load/profile';
import { groupOf, phaseOf } from '@spillway/load/report-parts';
import { value } from '../../sim/measure/figures.ts';
import { standardKind } from '../flood/mix.ts';
import { median } from '../report.ts';
import { always, answered, load, MODEL, p99, type Scenario, WORKER_CAPACITY } from './scenario.ts';

const QUOTA = 0.05 * WORKER_CAPACITY;
const OTHERS = 0.6 * WORKER_CAPACITY;
const WILD = 100 * QUOTA;
const SECONDS = 15;
const PAIRS = 5;
const OFFENDER = 'offender';
const TEN = Array.from({ length: 10 }, (_, n) => `tenant${n}`);

export const o08: Scenario = {
  id: 'O8',
  title: 'a tenant at 100 times its quota beside ten at 0.6 of capacity',
  cases: [
    {
      name: `median of ${PAIRS} pairs`,
      mesh: {
        tenants: [
          { tenant: OFFENDER, class: 'standard', quota: { requestsPerSecond: QUOTA } },
          ...TEN.map((tenant) => ({ tenant, class: 'standard' as const })),
        ],
      },
      run: async (context) => {
        const { mesh, say } = context;
        const standard = standardKind({ model: MODEL, keys: mesh.keys, deadlineMs: 1_000 });
        const kind = (tenant: string, weight: number): Kind => ({
          ...standard,
          name: tenant === OFFENDER ? OFFENDER : 'others',
          tenant,
          key: mesh.keys[tenant],
          weight,
          phaseWeights: tenant === OFFENDER ? { before: 0 } : {},
        });
        const kinds = [...TEN.map((tenant) => kind(tenant, OTHERS / TEN.length)), kind(OFFENDER, WILD)];
        const ratios: number[] = [];
        const runs = [];
        for (let pair = 0; pair < PAIRS; pair += 1) {
          const profile = [
            { label: 'before', pieces: constantRate(OTHERS, SECONDS * 1_000) },
            { label: 'during', pieces: constantRate(OTHERS + WILD, SECONDS * 1_000) },
          ];
          const run = await load({ ...context, seed: context.seed + pair }, { title: 'O8', kinds, profile });
          const [before, during] = ['before', 'during'].map((label) => groupOf(phaseOf(run.report, label), 'others'));
          if (before === undefined || during === undefined) throw new Error('bug: both phases were asked for');
          ratios.push(p99(during) / p99(before));
          say(`pair ${pair + 1}: p99 ${p99(before).toFixed(1)} → ${p99(during).toFixed(1)} ms`);
          runs.push({ run, before, during });
        }
        const last = runs.at(-1) as (typeof runs)[number];
        const lost = median(
          runs.map(({ before, during }) => 100 * (before.served / before.offered - during.served / during.offered)),
        );
        return [
          value('p99 of the others over before', '×', median(ratios), { atMost: 1.15 }),
          value('worst pair', '×', Math.max(...ratios)),
          value('success of the others lost, points', '', lost, { atMost: 0.01 }),
          answered('others answered, last pair', last.during),
          ...always(last.run, 'during'),
        ];
      },
    },
  ],
};
