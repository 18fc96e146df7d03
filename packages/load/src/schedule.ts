import { type Arrivals, profileArrivals } from './arrivals.ts';
import { constantGaps, type Gaps, gammaGaps, poissonGaps } from './gaps.ts';
import { type Kind, weightedPicker } from './kind.ts';
import { allPieces, type PhaseTimes, type Profile, phaseTimes } from './profile.ts';
import { type Random, randomStream } from './random.ts';
import { type ReplayPlan, replay } from './replay.ts';
import type { Trace } from './trace-csv.ts';

/** How arrivals lie around their rate: independent, evenly spaced, or with gamma-distributed gaps (shape < 1: in bursts). */
export type ArrivalProcess = 'poisson' | 'constant' | { gamma: number };

/** When requests are due. */
export type LoadPlan =
  | { profile: Profile; process: ArrivalProcess }
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
    const pieces = allPieces(plan.profile);
    return {
      arrivals: profileArrivals(pieces, gapsOf(plan.process, random)),
      phases: phaseTimes(plan.profile),
      about: aboutProcess(plan.process),
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

function gapsOf(process: ArrivalProcess, random: Random): Gaps {
  if (process === 'constant') return constantGaps();
  return process === 'poisson' ? poissonGaps(random) : gammaGaps(random, process.gamma);
}

function aboutProcess(process: ArrivalProcess): string {
  if (process === 'constant') return 'evenly spaced arrivals';
  return process === 'poisson' ? 'Poisson arrivals' : `arrivals with gamma-distributed gaps, shape ${process.gamma}`;
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
