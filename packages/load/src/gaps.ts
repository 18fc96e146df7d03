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
  checkShape(shape);
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

/** Weibull-distributed gaps: shape < 1 is burstier than Poisson, 1 is Poisson. */
export function weibullGaps(random: Random, shape: number): Gaps {
  checkShape(shape);
  const mean = Math.exp(logGamma(1 + 1 / shape));
  return () => (-Math.log1p(-random())) ** (1 / shape) / mean;
}

function checkShape(shape: number): void {
  if (!(shape > 0 && Number.isFinite(shape))) throw new LoadError(`shape: expected a number above 0, got ${shape}`);
}

/** Box and Muller. */
const normal = (random: Random): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

const LANCZOS = [
  676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
  -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** Logarithm of Γ(x) for x ≥ 1: Lanczos, g = 7. */
function logGamma(x: number): number {
  const series = LANCZOS.reduce((sum, term, n) => sum + term / (x + n), 0.99999999999980993);
  const t = x + 6.5;
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(series);
}
