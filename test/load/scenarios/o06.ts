import { progressLine } from '@spillway/load/progress';
import type { GroupReport } from '@spillway/load/report';
import { groupOf, phaseOf } from '@spillway/load/report-parts';
import { runLoad } from '@spillway/load/run-load';
import { share, value } from '../../sim/measure/figures.ts';
import { CALM, FLOOD, stepProfile } from '../flood/mix.ts';
import { failuresOf, goodputOf, kindsOf, p99, type Scenario, WORKER_CAPACITY } from './scenario.ts';

const SPLIT = [0.7, 0.2, 0.1];
const SECONDS = { calm: 15, flood: 25, after: 8 };

export const o06: Scenario = {
  id: 'O6',
  title: '3 gateways and 2 batchers at 5×, traffic split 70/20/10',
  cases: [
    {
      name: '5×',
      mesh: { scale: { gateway: 3, batcher: 2 } },
      run: async ({ mesh, seed, say }) => {
        const times = 5;
        const runs = await Promise.all(
          mesh.of('gateway').map(({ http }, n) => {
            const part = SPLIT[n] ?? 0;
            const capacity = part * WORKER_CAPACITY;
            return runLoad({
              kinds: kindsOf(mesh, { times }),
              plan: { profile: stepProfile({ capacity, times }, SECONDS), process: 'poisson' },
              targets: { http: `http://${http}` },
              seed: seed + n,
              ...(n === 0 && { onProgress: (progress) => say(progressLine(progress)) }),
            });
          }),
        );
        const floods = runs.map((report) => phaseOf(report, FLOOD));
        const calm = Math.max(...runs.map((report) => p99(groupOf(phaseOf(report, CALM), 'vip'))));
        const vips = floods.map((flood) => groupOf(flood, 'vip'));
        const goodput = floods.reduce((total, flood) => total + goodputOf(flood), 0);
        const sum = (groups: readonly GroupReport[], of: (group: GroupReport) => number): number =>
          groups.reduce((total, group) => total + of(group), 0);
        const alls = floods.map(({ all }) => all);
        return [
          value('goodput', '%', goodput, { atLeast: 95 }),
          share(
            'vip answered',
            sum(vips, ({ served }) => served),
            sum(vips, ({ offered }) => offered),
            { atLeast: 99.99 },
          ),
          value('vip p99 of the worst gateway over load 0.7', '×', Math.max(...vips.map(p99)) / calm, { atMost: 2 }),
          share(
            'failures refused within 10 ms',
            sum(alls, ({ promptRefusals }) => promptRefusals),
            sum(alls, failuresOf),
            { atLeast: 99 },
          ),
        ];
      },
    },
  ],
};
