import { groupOf, phaseOf } from '@spillway/load/report-parts';
import { value } from '../../sim/measure/figures.ts';
import { CALM, FLOOD } from '../flood/mix.ts';
import { p99, type Scenario } from './scenario.ts';
import { floodOfAll, loadGateways } from './several-gateways.ts';

const SPLIT = [0.7, 0.2, 0.1];
const SECONDS = { calm: 15, flood: 25, after: 8 };

export const o06: Scenario = {
  id: 'O6',
  title: '3 gateways and 2 batchers at 5×, traffic split 70/20/10',
  cases: [
    {
      name: '5×',
      mesh: { scale: { gateway: 3, batcher: 2 } },
      run: async (context) => {
        const reports = await loadGateways(context, { parts: SPLIT, times: 5, seconds: SECONDS });
        const worst = (label: string): number =>
          Math.max(...reports.map((report) => p99(groupOf(phaseOf(report, label), 'vip'))));
        return [
          ...floodOfAll(reports, { goodput: { atLeast: 95 }, refused: { atLeast: 99 } }),
          value('vip p99 of the worst gateway over load 0.7', '×', worst(FLOOD) / worst(CALM), { atMost: 2 }),
        ];
      },
    },
  ],
};
