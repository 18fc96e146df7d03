import { defaultModel, type SimModel } from '../chain/spec.ts';
import { goodput, isVip, share, value } from '../measure/figures.ts';
import { simulate } from '../run/simulate.ts';
import type { Scenario } from './scenario.ts';
import { AFTER_MS, BASE_MS, stepPlan, WARM_MS } from './step.ts';

const WITH_LITE: SimModel = { ...defaultModel, variants: { lite: { baseMs: 2, rowMs: 0.2 } } };
const SECONDS = 60;
const CALM_SECONDS = 20;
/** Levels are taken one after the other, each after 300 ms. */
const CLIMB_MS = 5_000;

/** A lighter variant while there is too much to do. */
export const o14: Scenario = {
  id: 'O14',
  title: 'a model with a lighter variant under 3× for a minute',
  baselines: false,
  cases: [
    {
      name: '3×',
      run: (options) => {
        const seconds = options.seconds ?? SECONDS;
        const plan = stepPlan({ load: 3, model: WITH_LITE, seconds }, options);
        const flows = plan.flows.map((flow) => {
          const pieces = flow.pieces.map((piece, n) =>
            n < 2 ? piece : { ...piece, durationMs: CALM_SECONDS * 1_000 },
          );
          return { ...flow, pieces };
        });
        const endMs = plan.endMs - AFTER_MS + CALM_SECONDS * 1_000;
        const stepMs = WARM_MS + BASE_MS;
        const overMs = stepMs + seconds * 1_000;
        const seconds10 = { name: 'from 10 s after', fromMs: overMs + 10_000, toMs: overMs + CALM_SECONDS * 1_000 };
        const phases = [
          ...plan.phases.slice(0, 2),
          { name: 'after', fromMs: overMs, toMs: overMs + 10_000 },
          seconds10,
        ];
        const outcome = simulate({ ...plan, flows, phases, endMs }, options);
        const { tally } = outcome;
        const changes = tally.levels.filter(({ atMs }) => atMs > stepMs + CLIMB_MS && atMs < overMs).length;
        const [all, later, vip] = [
          tally.cell('overload'),
          tally.cell('from 10 s after'),
          tally.cell('overload', isVip),
        ];
        const highest = Math.max(0, ...tally.levels.map(({ level }) => level));
        return {
          figures: [
            value('level changes a minute', '', (changes * 60_000) / (overMs - stepMs - CLIMB_MS), { atMost: 2 }),
            value('highest level', '', highest),
            share('degraded from 10 s after the end', later.degraded, later.answered, { atMost: 0 }),
            share('answers by the lighter variant', all.degraded, all.answered),
            value('goodput, in full answers', '%', goodput(outcome, stepMs, overMs)),
            share('vip answered', vip.answered, vip.calls, { atLeast: 99.99 }),
          ],
          events: outcome.events,
        };
      },
    },
  ],
};
