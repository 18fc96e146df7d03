import type { Piece } from '@spillway/load/profile';
import { ramp, sawtooth, squareBursts } from '@spillway/load/profile';
import { defaultModel } from '../chain/spec.ts';
import type { Flow } from '../clients/flow.ts';
import { always, type Figure, goodput, isVip, share, value } from '../measure/figures.ts';
import type { Phase } from '../measure/tally.ts';
import { type Outcome, type Plan, type RunOptions, simulate } from '../run/simulate.ts';
import type { Case, Scenario } from './scenario.ts';
import { ALONE, capacityOf, mix, pieces, WARM_MS } from './step.ts';

/** Classes in their usual shares while the whole follows `over`, rates per second of capacity. */
function plan(over: (rate: number) => Piece[], lengthMs: number, mean: number): Plan {
  const phases: Phase[] = [{ name: 'overload', fromMs: WARM_MS, toMs: WARM_MS + lengthMs }];
  const shares = mix(mean).map((part) => part / mean);
  const flows = ['vip', 'standard', 'bulk'].map((name, rank): Flow => {
    const rate = capacityOf() * (shares[rank] as number);
    const warm = pieces(rate, [{ seconds: WARM_MS / 1_000, load: 0.5 }]);
    return {
      name,
      rank,
      model: defaultModel,
      tenants: ALONE,
      pieces: [...warm, ...over(rate)],
      deadlinesMs: [defaultModel.deadlineMs],
      retry: 'budget',
    };
  });
  return { flows, phases, endMs: WARM_MS + lengthMs + 500 };
}

/** Largest minus smallest goodput over a second, in % of capacity, where more than capacity is offered. */
function variation(outcome: Outcome, fromMs: number, toMs: number): number {
  let [least, most] = [Number.POSITIVE_INFINITY, 0];
  for (let atMs = fromMs; atMs + 1_000 <= toMs; atMs += 250) {
    const percent = goodput(outcome, atMs, atMs + 1_000);
    least = Math.min(least, percent);
    most = Math.max(most, percent);
  }
  return most - least;
}

function steady(outcome: Outcome, saturatedFromMs: number): Figure[] {
  const { fromMs, toMs } = outcome.tally.phase('overload');
  const vip = outcome.tally.cell('overload', isVip);
  return [
    value('goodput over a second varies by', '%', variation(outcome, fromMs + saturatedFromMs, toMs), { atMost: 10 }),
    value('goodput', '%', goodput(outcome, fromMs + saturatedFromMs, toMs)),
    share('vip answered', vip.answered, vip.calls, { atLeast: 99.99 }),
    ...always(outcome, 'overload'),
  ];
}

/** Bursts of 1.8 times capacity and as long pauses at 0.2, with and without the fair rate, which also keeps the queue short. */
function squares(burstMs: number): Case {
  const lengthMs = 10_000;
  return {
    name: `squares of ${burstMs} ms`,
    run: (options: RunOptions) => {
      const over = (rate: number): Piece[] =>
        squareBursts({ low: 0.2 * rate, high: 1.8 * rate, burstMs, periodMs: 2 * burstMs }, lengthMs);
      const both = [options, { ...options, off: new Set([...options.off, 'g3'] as const) }].map((run) =>
        simulate(plan(over, lengthMs, 1.8), run),
      ) as [Outcome, Outcome];
      const [ours, predictionAlone] = both.map((outcome) => goodput(outcome, WARM_MS, WARM_MS + lengthMs)) as [
        number,
        number,
      ];
      const vip = both[0].tally.cell('overload', isVip);
      return {
        figures: [
          value('goodput', '%', ours),
          value('goodput of prediction alone', '%', predictionAlone),
          value('of prediction alone', '×', ours / predictionAlone, { atLeast: 0.9 }),
          share('vip answered', vip.answered, vip.calls, { atLeast: 99.99 }),
        ],
        events: both[0].events + both[1].events,
      };
    },
  };
}

/** Load that does not stand still. */
export const o02: Scenario = {
  id: 'O2',
  title: 'ramp of 60 s; sawtooth of 5 s; squares of 200 and 50 ms',
  baselines: false,
  cases: [
    {
      name: 'ramp 0.7 → 5×',
      run: (options) => {
        const lengthMs = 1_000 * (options.seconds ?? 60);
        const outcome = simulate(
          plan((rate) => ramp(0.7 * rate, 5 * rate, lengthMs), lengthMs, 5),
          options,
        );
        return { figures: steady(outcome, ((1.2 - 0.7) / (5 - 0.7)) * lengthMs), events: outcome.events };
      },
    },
    {
      name: 'sawtooth 1.2 → 5×',
      run: (options) => {
        const outcome = simulate(
          plan((rate) => sawtooth(1.2 * rate, 5 * rate, 5_000, 20_000), 20_000, 5),
          options,
        );
        return { figures: steady(outcome, 500), events: outcome.events };
      },
    },
    squares(200),
    squares(50),
  ],
};
