import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { randomStream } from '@spillway/load/random';
import { replay } from '@spillway/load/replay';
import { parseTrace } from '@spillway/load/trace-csv';
import { aroundPeak } from '../../support/around-peak.ts';
import { defaultModel } from '../chain/spec.ts';
import type { Flow } from '../clients/flow.ts';
import { always, isVip, quantiles, share, value } from '../measure/figures.ts';
import { type Outcome, type RunOptions, simulate } from '../run/simulate.ts';
import type { Case, Scenario } from './scenario.ts';
import { ALONE, capacityOf } from './step.ts';

const LENGTH_MS = 60_000;

/** A minute of virtual time from around the highest rate of a trace, which is scaled to `load` times capacity there. */
function timesOf(file: string, load: number, seed: number): Float64Array {
  const trace = parseTrace(readFileSync(file, 'utf8'));
  const { window, speed } = aroundPeak(trace, LENGTH_MS);
  const plan = { window, speed, peakPerSecond: load * capacityOf() };
  const { arrivals } = replay(trace, plan, randomStream(seed, `trace ${basename(file)}`));
  const times: number[] = [];
  for (let atMs = arrivals.next(); atMs < LENGTH_MS; atMs = arrivals.next()) times.push(atMs);
  return Float64Array.from(times);
}

const SHARES = [0.1, 0.6, 0.3];

/** Each recorded request gets a class. */
function flowsOf(file: string, load: number, seed: number): Flow[] {
  const random = randomStream(seed, 'classes');
  const byRank: number[][] = SHARES.map(() => []);
  for (const atMs of timesOf(file, load, seed)) {
    const x = random();
    byRank[x < 0.1 ? 0 : x < 0.7 ? 1 : 2]?.push(atMs);
  }
  return ['vip', 'standard', 'bulk'].map((name, rank) => ({
    name,
    rank,
    model: defaultModel,
    tenants: ALONE,
    pieces: [],
    timesMs: Float64Array.from(byRank[rank] as number[]),
    deadlinesMs: [defaultModel.deadlineMs],
    retry: 'budget',
  }));
}

/** Answered of what could be: in each second at most what capacity allows. */
function served({ tally, instances }: Outcome): number {
  let [could, did] = [0, 0];
  for (let atMs = 1_000; atMs + 1_000 <= LENGTH_MS; atMs += 1_000) {
    const begun = tally.begun.reduce((sum, line) => sum + line.sum(atMs, atMs + 1_000), 0);
    could += Math.min(begun / capacityOf(), 1) * instances;
    did += tally.work(atMs, atMs + 1_000);
  }
  return (100 * did) / could;
}

const replayed = (index: number, load: number): Case => ({
  name: `trace ${index + 1}, ${load}×`,
  needsTrace: index,
  run: (options: RunOptions) => {
    const file = options.traces?.[index];
    if (file === undefined) throw new Error('--traces: expected a CSV file for O16');
    const calm = simulate(run(file, 0.7, options), options);
    const outcome = load === 0.7 ? calm : simulate(run(file, load, options), options);
    const vip = outcome.tally.cell('overload', isVip);
    const atMost = { goodput: load > 2 ? 95 : 97 };
    return {
      figures: [
        value(`answered of what could be (${basename(file)})`, '%', served(outcome), { atLeast: atMost.goodput }),
        share('vip answered', vip.answered, vip.calls, { atLeast: 99.99 }),
        value(
          'vip p99 over load 0.7',
          '×',
          quantiles(vip).p99 / quantiles(calm.tally.cell('overload', isVip)).p99,
          { atMost: 2 },
          { atMost: 1.5 },
        ),
        ...always(outcome, 'overload'),
      ],
      events: outcome.events,
    };
  },
});

const run = (file: string, load: number, { seed }: RunOptions) => ({
  flows: flowsOf(file, load, seed),
  phases: [{ name: 'overload', fromMs: 1_000, toMs: LENGTH_MS }],
  endMs: LENGTH_MS + 500,
});

/** Arrivals that happened somewhere. */
export const o16: Scenario = {
  id: 'O16',
  title: 'replay of arrival traces, peak scaled to 0.7, 1.5 and 3× (--traces)',
  baselines: false,
  cases: [0, 1, 2].flatMap((index) => [0.7, 1.5, 3].map((load) => replayed(index, load))),
};
