import { always, goodput, value } from '../measure/figures.ts';
import { type Plan, simulate } from '../run/simulate.ts';
import type { Scenario } from './scenario.ts';
import { stepPlan } from './step.ts';

/** Half of standard has a short deadline, half a long one. */
export const o10: Scenario = {
  id: 'O10',
  title: '5× with deadlines of 80 and 400 ms mixed in standard',
  baselines: false,
  cases: [
    { name: '80 and 400 ms', chain: {} },
    { name: 'one instance', chain: { gateways: 1, batchers: 1, instances: 1 } },
  ].map(({ name, chain }) => ({
    name,
    run: (options) => {
      const plan = stepPlan({ load: 5, seconds: 10, chain }, options);
      const flows = plan.flows.flatMap((flow) => {
        if (flow.rank !== 1) return [flow];
        const half = flow.pieces.map((piece) => ({
          ...piece,
          fromRate: piece.fromRate / 2,
          toRate: piece.toRate / 2,
        }));
        return [80, 400].map((deadlineMs) => ({
          ...flow,
          name: `standard ${deadlineMs}`,
          pieces: half,
          deadlinesMs: [deadlineMs],
        }));
      });
      const mixed: Plan = { ...plan, flows };
      const outcome = simulate(mixed, options);
      const { fromMs, toMs } = outcome.tally.phase('overload');
      const [short, long] = [80, 400].map(
        (ms) => outcome.tally.cell('overload', (name) => name === `standard ${ms}`).success,
      ) as [number, number];
      return {
        figures: [
          value('success at 400 ms over 80 ms', '×', long / short, { atLeast: 0.5, atMost: 2 }),
          value('success at 80 ms', '%', 100 * short),
          value('success at 400 ms', '%', 100 * long),
          value('goodput', '%', goodput(outcome, fromMs, toMs)),
          ...always(outcome, 'overload'),
        ],
        events: outcome.events,
      };
    },
  })),
};
