import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { progressLine } from '@spillway/load/progress';
import { groupOf, phaseOf } from '@spillway/load/report-parts';
import { parseTrace } from '@spillway/load/trace-csv';
import { share, value } from '../../sim/measure/figures.ts';
import { aroundPeak } from '../../support/around-peak.ts';
import { type FloodRun, runFlood } from '../flood/one-flood.ts';
import { always, kindsOf, p99, type Scenario, WORKER_CAPACITY } from './scenario.ts';

const LENGTH_MS = 60_000;
const LABEL = 'replay';

/** Answered of what could be: in each second at most what capacity allows, %. */
function answeredOfPossible({ report }: FloodRun): number {
  const { groups, sliceMs } = report.timeline;
  const most = (WORKER_CAPACITY * sliceMs) / 1_000;
  const all = Object.values(groups);
  let [could, did] = [0, 0];
  for (let n = 0; n < (all[0]?.offered.length ?? 0); n += 1) {
    const sum = (key: 'offered' | 'good' | 'degraded'): number =>
      all.reduce((total, of) => total + (of[key][n] ?? 0), 0);
    could += Math.min(sum('offered'), most);
    did += sum('good') + sum('degraded');
  }
  return (100 * did) / could;
}

export const o16: Scenario = {
  id: 'O16',
  title: 'replay of recorded arrivals, their peak scaled to 0.7, 1.5 and 3× (--traces)',
  cases: [
    {
      name: 'each trace',
      needsTraces: true,
      run: async ({ mesh, seed, traces, say }) => {
        const figures = [];
        for (const file of traces) {
          const trace = parseTrace(readFileSync(file, 'utf8'));
          let calmP99 = Number.NaN;
          for (const times of [0.7, 1.5, 3]) {
            const plan = {
              trace,
              replay: { ...aroundPeak(trace, LENGTH_MS), peakPerSecond: times * WORKER_CAPACITY },
              label: LABEL,
            };
            const run = await runFlood(mesh, {
              kinds: kindsOf(mesh, { times }),
              plan,
              seed,
              capacity: WORKER_CAPACITY,
              onProgress: (progress) => say(progressLine(progress)),
            });
            const vip = groupOf(phaseOf(run.report, LABEL), 'vip');
            if (times < 1) calmP99 = p99(vip);
            const at = `${basename(file, '.csv')} ${times}×: `;
            figures.push(
              value(`${at}answered of what could be`, '%', answeredOfPossible(run), { atLeast: times > 2 ? 95 : 97 }),
              share(`${at}vip answered`, vip.served, vip.offered, { atLeast: 99.99 }),
              value(`${at}vip p99 over load 0.7`, '×', p99(vip) / calmP99, { atMost: 2 }),
              ...(times > 1 ? always(run, LABEL) : []).map((figure) => ({ ...figure, name: at + figure.name })),
            );
          }
        }
        return figures;
      },
    },
  ],
};
