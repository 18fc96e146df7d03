import { LoadError } from './load-error.ts';
import type { Random } from './random.ts';

/** Gaps between arrivals in units of the mean gap: each call draws the next one, and their mean is 1. */
export type Gaps = () => number;

/** Independent arrivals: exponential gaps. */
export const poissonGaps =
  (random: Random): Gaps =>
  () =>
    -Math.log1p(-random());

/** Arrivals like clockwork; the first one after half a gap, so that begin and end of a phase look alike. */
export function constantGaps(): Gaps {
  let first = true;
  return () => {
    if (!first) return 1;
    first = false;
    return 0.5;
  };
}

/** Gamma-distributed gaps: shape < 1 is burstier than Poisson, 1 is Poisson. Marsaglia and Tsang, 2000. */
export function gammaGaps(random: Random, shape: number): Gaps {
  if (!(shape > 0 && Number.isFinite(shape))) throw new LoadError(`shape: expected a number above 0, got ${shape}`);
  const raised = shape < 1 ? shape + 1 : shape;
  const d = raised - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  const draw = (): number => {
    for (;;) {
      const x = normal(random);
      const v = (1 + c * x) ** 3;
      if (v > 0 && Math.log(1 - random()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
    }
  };
  if (shape >= 1) return () => draw() / shape;
  return () => (draw() * (1 - random()) ** (1 / shape)) / shape;
}

/** Box and Muller. */
const normal = (random: Random): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
