import { share, value } from '../measure/figures.ts';
import { type Plan, simulate } from '../run/simulate.ts';
import type { Case, Scenario } from './scenario.ts';
import { stepPlan } from './step.ts';

const FLOOD_SECONDS = 10;
const AFTER_SECONDS = 60; // the longest time that callers are told is shorter

/** `obeying`: this share of standard and bulk comes again at the time it was told; the rest of the flood goes away. */
const flood = (load: number, obeying: number, must: boolean): Case => ({
  name: `${load}×, ${Math.round(100 * obeying)} % come back`,
  run: (options) => {
    const plan = stepPlan({ load, retry: 'none', seconds: FLOOD_SECONDS }, { ...options, seconds: FLOOD_SECONDS });
    const flows = plan.flows.flatMap((flow) => {
      const pieces = flow.pieces.map((piece, n) => (n < 2 ? piece : { ...piece, durationMs: AFTER_SECONDS * 1_000 }));
      if (flow.rank === 0) return [{ ...flow, pieces }];
      const part = (name: string, of: number) => ({
        ...flow,
        name,
        pieces: pieces.map((piece) => ({ ...piece, fromRate: piece.fromRate * of, toRate: piece.toRate * of })),
      });
      return [{ ...part(`${flow.name} obeys`, obeying), retry: 'obey' as const }, part(flow.name, 1 - obeying)];
    });
    const last = plan.phases.at(-1) as (typeof plan.phases)[number];
    const flooded: Plan = { ...plan, flows, endMs: last.fromMs + AFTER_SECONDS * 1_000 };
    const { tally, events } = simulate(flooded, options);
    const { fromMs } = tally.phase('after');
    const hints = tally.hintsBetween(fromMs, flooded.endMs);
    return {
      figures: [
        share(
          'succeed at the time they were told, after the flood',
          hints.answered,
          hints.tried,
          must ? { atLeast: 95 } : undefined,
        ),
        share(
          'of those told a time within the flood',
          tally.hintsBetween(0, fromMs).answered,
          tally.hintsBetween(0, fromMs).tried,
        ),
        value('longest time told', 's', hints.longestMs / 1_000),
        value('median time told', 's', hints.medianMs / 1_000),
      ],
      events,
    };
  },
});

/** Advice that is taken. */
export const o15: Scenario = {
  id: 'O15',
  title: 'clients obey Retry-After after a flood of 10 s',
  baselines: false,
  cases: [flood(2, 0.1, true), flood(5, 0.1, true), flood(2, 1, false), flood(5, 1, false)],
};
