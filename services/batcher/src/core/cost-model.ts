import type { Clock } from '@spillway/lifecycle/clock';

/** What an instance measured at its warm-up; ms, `maxRows` ≥ 1. */
export type WarmUp = { runMsOne: number; runMsFull: number; maxRows: number };

/** Weight of one batch in the correction: about the last ten decide. */
const WEIGHT = 0.1;
/** One batch moves the correction by no more than this factor's share: a single stall is not a trend. */
const MAX_STEP = 4;
/** After this long without a finished batch the prediction is no reason to drop anything. */
const TRUSTED_FOR_MS = 1_000;
const LEAST_MS_A_ROW = 0.001;

/**
 * Predicts how long a batch runs on one instance: T̂(rows) = f · (a + c · rows). a and c are the line through the two warm-up
 * times, f is the moving ratio of measured to line. (The two terms cannot be told apart while all batches have one size, so only
 * their common factor is learned.)
 */
export class CostModel {
  readonly #clock: Clock;
  readonly #a: number;
  readonly #c: number;
  #factor = 1;
  #measuredAtMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, { runMsOne, runMsFull, maxRows }: WarmUp) {
    this.#clock = clock;
    const slope = maxRows > 1 ? (runMsFull - runMsOne) / (maxRows - 1) : 0;
    this.#c = Math.max(LEAST_MS_A_ROW, slope);
    this.#a = Math.max(0, runMsOne - this.#c);
  }

  /** ms for a batch of `rows`. */
  predictMs(rows: number): number {
    return this.#factor * (this.#a + this.#c * rows);
  }

  /** False until a batch ended, and again when none did for a second. */
  get trusted(): boolean {
    return this.#clock.now() - this.#measuredAtMs < TRUSTED_FOR_MS;
  }

  /** A batch ended. */
  observe(rows: number, runMs: number): void {
    if (!(runMs >= 0) || rows < 1) return;
    const ratio = runMs / (this.#a + this.#c * rows);
    const bounded = Math.min(this.#factor * MAX_STEP, Math.max(this.#factor / MAX_STEP, ratio));
    this.#factor += WEIGHT * (bounded - this.#factor);
    this.#measuredAtMs = this.#clock.now();
  }
}
