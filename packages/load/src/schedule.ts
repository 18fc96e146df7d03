import { type Arrivals, profileArrivals } from './arrivals.ts';
import { constantGaps, poissonGaps } from './gaps.ts';
import { type Kind, weightedPicker } from './kind.ts';
import { allPieces, type PhaseTimes, type Profile, phaseTimes } from './profile.ts';
import { randomStream } from './random.ts';
import { type ReplayPlan, replay } from './replay.ts';
import type { Trace } from './trace-csv.ts';

/** When requests are due. */
export type LoadPlan =
  | { profile: Profile; process: 'poisson' | 'constant' }
  | { trace: Trace; replay: ReplayPlan; label: string };

/** A plan with its random numbers: what a loop needs to know of it. */
export type Schedule = {
  arrivals: Arrivals;
  phases: PhaseTimes[];
  /** What is to be said of it. */
  about: string;
};

export function scheduleOf(plan: LoadPlan, seed: number): Schedule {
  const random = randomStream(seed, 'arrivals');
  if ('profile' in plan) {
    const gaps = plan.process === 'poisson' ? poissonGaps(random) : constantGaps();
    const pieces = allPieces(plan.profile);
    return {
      arrivals: profileArrivals(pieces, gaps),
      phases: phaseTimes(plan.profile),
      about: plan.process === 'poisson' ? 'Poisson arrivals' : 'evenly spaced arrivals',
    };
  }
  const replayed = replay(plan.trace, plan.replay, random);
  const filled = replayed.filledPeriods === 0 ? '' : `, ${replayed.filledPeriods} missing periods filled`;
  return {
    arrivals: replayed.arrivals,
    phases: [{ label: plan.label, fromMs: 0, toMs: replayed.durationMs }],
    about: `replay of ${plan.label}: speed ${plan.replay.speed ?? 1}, amount ${Number(replayed.amount.toPrecision(4))}, peak ${replayed.peakPerSecond.toFixed(0)} requests/s${filled}`,
  };
}

/** Draws the kind of a request that is due at a time, by the weights of that phase. */
export function kindPicker(
  kinds: readonly Kind[],
  phases: readonly PhaseTimes[],
  seed: number,
): (dueMs: number) => number {
  const random = randomStream(seed, 'kinds');
  const pickers = phases.map(({ label }) =>
    weightedPicker(
      kinds.map((kind) => kind.phaseWeights[label] ?? kind.weight),
      random,
    ),
  );
  let phase = 0; // times never fall
  return (dueMs) => {
    while (phase < phases.length - 1 && dueMs >= (phases[phase] as PhaseTimes).toMs) phase += 1;
    return (pickers[phase] as () => number)();
  };
}
