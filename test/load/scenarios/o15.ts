import type { Kind } from '@spillway/load/kind';
import { constantRate } from '@spillway/load/profile';
import { at, groupOf, phaseOf } from '@spillway/load/report-parts';
import { share, value } from '../../sim/measure/figures.ts';
import { CALM_LOAD } from '../flood/mix.ts';
import { kindsOf, load, type Scenario, WORKER_CAPACITY } from './scenario.ts';

const FLOOD_S = 10;
const AFTER_S = 60; // callers are told at most 30 s
const OBEYING = 0.1;

export const o15: Scenario = {
  id: 'O15',
  title: 'clients that come back at the time they were told, after a flood of 10 s',
  cases: [2, 5].map((times) => ({
    name: `${times}×, ${OBEYING * 100} % come back`,
    run: async (context) => {
      const obeys = (kind: Kind): Kind[] =>
        kind.name === 'vip'
          ? [kind]
          : [
              { ...kind, weight: kind.weight * (1 - OBEYING) },
              { ...kind, name: 'obeys', weight: kind.weight * OBEYING, retry: { kind: 'obey', tries: 2 } },
            ];
      const kinds = kindsOf(context.mesh, { times }).flatMap(obeys);
      const profile = [
        { label: 'calm', pieces: constantRate(CALM_LOAD * WORKER_CAPACITY, 5_000) },
        { label: 'flood', pieces: constantRate(times * WORKER_CAPACITY, FLOOD_S * 1_000) },
        { label: 'after', pieces: constantRate(CALM_LOAD * WORKER_CAPACITY, AFTER_S * 1_000) },
      ];
      const run = await load(context, { title: `O15 ${times}×`, kinds, profile });
      const phases = run.report.phases.filter(({ fromMs }) => fromMs >= (5 + FLOOD_S) * 1_000);
      const sum = (of: 'retried' | 'served'): number =>
        phases.reduce((total, { groups }) => total + (groups['obeys']?.hints[of] ?? 0), 0);
      const told = groupOf(phaseOf(run.report, 'flood'), 'obeys').hints.hint;
      return [
        share('succeed at the time they were told', sum('served'), sum('retried'), { atLeast: 95 }),
        value('median time told', 's', (at(told, 0.5) ?? Number.NaN) / 1_000),
        value('longest time told', 's', (told.max ?? Number.NaN) / 1_000),
      ];
    },
  })),
};
