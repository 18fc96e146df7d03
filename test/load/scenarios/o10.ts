import { groupOf, phaseOf } from '@spillway/load/report-parts';
import { value } from '../../sim/measure/figures.ts';
import { FLOOD, stepProfile } from '../flood/mix.ts';
import { always, answered, goodputOf, kindsOf, load, type Scenario, WORKER_CAPACITY } from './scenario.ts';

/** As long, beside a full batch of this model, as 80 and 400 ms are beside one of the simulator's. */
const DEADLINES = [420, 2_100] as const;

export const o10: Scenario = {
  id: 'O10',
  title: `5× with deadlines of ${DEADLINES.join(' and ')} ms mixed in standard`,
  cases: [
    {
      name: '5×',
      run: async (context) => {
        const times = 5;
        const kinds = kindsOf(context.mesh, { times }).flatMap((kind) =>
          kind.name !== 'standard'
            ? [kind]
            : DEADLINES.map((ms) => ({
                ...kind,
                name: `standard ${ms}`,
                weight: kind.weight / 2,
                deadlineMs: [{ value: ms, weight: 1 }],
              })),
        );
        const profile = stepProfile({ capacity: WORKER_CAPACITY, times }, { calm: 8, flood: 25, after: 5 });
        const run = await load(context, { title: 'O10', kinds, profile });
        const flood = phaseOf(run.report, FLOOD);
        const [short, long] = DEADLINES.map((ms) => groupOf(flood, `standard ${ms}`));
        if (short === undefined || long === undefined) throw new Error('bug: both deadlines were asked for');
        const ratio = long.served / long.offered / (short.served / short.offered);
        return [
          value('success of the long over the short', '×', ratio, { atLeast: 0.5, atMost: 2 }),
          answered(`answered at ${DEADLINES[0]} ms`, short),
          answered(`answered at ${DEADLINES[1]} ms`, long),
          value('goodput', '%', goodputOf(flood)),
          ...always(run, FLOOD),
        ];
      },
    },
  ],
};
