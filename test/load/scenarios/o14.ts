import { constantRate } from '@spillway/load/profile';
import type { LoadReport } from '@spillway/load/report';
import { groupOf, phaseOf } from '@spillway/load/report-parts';
import { share, value } from '../../sim/measure/figures.ts';
import { answered, goodputOf, kindsOf, load, type Scenario, WORKER_CAPACITY } from './scenario.ts';

const GAUGE = 'spillway_brownout_level';
const CALM_S = 10;
const FLOOD_S = 60;
/** Levels are climbed one after the other; this long is not counted. */
const CLIMB_S = 5;

/** How often the gauge changed between two times, and its highest value. */
function levelsOf({ metrics }: LoadReport, fromMs: number, toMs: number): { changes: number; highest: number } {
  const series = metrics?.series.find(({ name, labels }) => name === GAUGE && labels.includes('simulated'));
  if (metrics === null || series === undefined) throw new Error(`${GAUGE} was not read`);
  let [changes, highest] = [0, 0];
  let last: number | undefined;
  for (const [n, level] of series.values.entries()) {
    if (level === null) continue;
    const atMs = metrics.timesMs[n] as number;
    if (atMs >= fromMs && atMs < toMs && last !== undefined && level !== last) changes += 1;
    last = level;
    highest = Math.max(highest, level);
  }
  return { changes, highest };
}

export const o14: Scenario = {
  id: 'O14',
  title: 'a model with a lighter variant, which callers take, under 3× for a minute',
  cases: [
    {
      name: '3×',
      run: async (context) => {
        const { mesh } = context;
        const kinds = kindsOf(mesh, { times: 3, accept: 'degraded,wait' });
        const calm = 0.5 * WORKER_CAPACITY;
        const profile = [
          { label: 'calm', pieces: constantRate(calm, CALM_S * 1_000) },
          { label: 'flood', pieces: constantRate(3 * WORKER_CAPACITY, FLOOD_S * 1_000) },
          { label: 'after', pieces: constantRate(calm, 10_000) },
          { label: 'later', pieces: constantRate(calm, 10_000) },
        ];
        const [gateway] = mesh.of('gateway');
        const metrics = { urls: [`http://${gateway?.health}/metrics`], gauges: [GAUGE] };
        const run = await load(context, { title: 'O14', kinds, profile, metrics });
        const flood = phaseOf(run.report, 'flood');
        const later = phaseOf(run.report, 'later').all;
        const fromMs = flood.fromMs + CLIMB_S * 1_000;
        const { changes, highest } = levelsOf(run.report, fromMs, flood.toMs);
        return [
          value('level changes a minute', '', (changes * 60_000) / (flood.toMs - fromMs), { atMost: 2 }),
          value('highest level', '', highest),
          share('degraded from 10 s after the end', later.degraded, later.served, { atMost: 0 }),
          share('answers by the lighter variant', flood.all.degraded, flood.all.served),
          value('answers, of what the full model could give', '%', goodputOf(flood)),
          answered('vip answered', groupOf(flood, 'vip'), { atLeast: 99.99 }),
        ];
      },
    },
  ],
};
