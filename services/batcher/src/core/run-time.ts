import type { Clock } from '@spillway/lifecycle/clock';

/** What an instance measured at its warm-up; ms, `maxRows` ≥ 1. */
export type WarmUp = { runMsOne: number; runMsFull: number; maxRows: number };

/** What a batch of `rows` takes: (baseMs + rowMs · rows), with a margin of two deviations. `trusted`: see `RunTime`. */
export type Prediction = { maxRows: number; baseMs: number; rowMs: number; trusted: boolean };

const FORGETTING = 0.98;
/** Gain that this forgetting settles at: below it the estimate would not follow a machine that becomes slower. */
const LEAST_GAIN = 1 / FORGETTING - 1;
const SIZES_KEPT = 50;
/** Relative to the time of a full batch. */
const MOST_VARIANCE = 4;
/** One batch counts as no more than this factor's deviation: a single stall is not a trend. */
const MOST_RATIO = 4;
const CV_WEIGHT = 0.05;
const FIRST_CV = 0.05;
const LEAST_ROW_MS = 0.001;
/** After this long without a finished batch the prediction is no reason to drop anything. */
const TRUSTED_FOR_MS = 1_000;

/**
 * Learns how long a batch takes: T̂(rows) = a + c · rows, by recursive least squares of the relative error, from the line through
 * the two warm-up times on. While all batches have about one size, a and c cannot be told apart: then nothing is forgotten, and
 * the two keep their proportion (Ljung and Söderström, Theory and Practice of Recursive Identification, on bounded gain).
 */
export class RunTime {
  readonly #clock: Clock;
  readonly #maxRows: number;
  readonly #sizes = new Float64Array(SIZES_KEPT);
  #a: number;
  #c: number;
  /** Covariance of (a, c). */
  #aa: number;
  #ac: number;
  #cc: number;
  #cv = FIRST_CV;
  #seen = 0;
  #measuredAtMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, { runMsOne, runMsFull, maxRows }: WarmUp) {
    this.#clock = clock;
    this.#maxRows = maxRows;
    const slope = maxRows > 1 ? (runMsFull - runMsOne) / (maxRows - 1) : 0;
    this.#c = Math.max(LEAST_ROW_MS, slope);
    this.#a = Math.max(0, runMsOne - this.#c);
    const fullMs = this.predictMs(maxRows);
    const [aMs, cMs] = [Math.max(this.#a, fullMs / 4), Math.max(this.#c, fullMs / 4 / maxRows)];
    this.#aa = this.#a ** 2 + aMs ** 2 / 4;
    this.#ac = this.#a * this.#c;
    this.#cc = this.#c ** 2 + cMs ** 2 / 4;
  }

  get baseMs(): number {
    return this.#a;
  }

  get rowMs(): number {
    return this.#c;
  }

  /** Moving mean of the relative error's size. */
  get cv(): number {
    return this.#cv;
  }

  /** ms for a batch of `rows`. */
  predictMs(rows: number): number {
    return this.#a + this.#c * rows;
  }

  /** False until a batch was measured, and again when none was for a second. */
  get trusted(): boolean {
    return this.#clock.now() - this.#measuredAtMs < TRUSTED_FOR_MS;
  }

  /** What counts for a deadline. */
  prediction(maxRows: number): Prediction {
    const safety = 1 + 2 * this.#cv;
    return { maxRows, baseMs: safety * this.#a, rowMs: safety * this.#c, trusted: this.trusted };
  }

  /** The largest batch that surely ends within `limitMs`, 1 to `maxRows`. */
  rowsWithin(limitMs: number): number {
    const rows = Math.floor((limitMs / (1 + 2 * this.#cv) - this.#a) / this.#c);
    return Math.max(1, Math.min(this.#maxRows, rows));
  }

  /** A batch ended. `operatingRows`: the size that most have under load. */
  observe(rows: number, ms: number, operatingRows: number): void {
    if (!(ms >= 0) || rows < 1) return;
    const predictedMs = this.predictMs(rows);
    const error = Math.min(MOST_RATIO, Math.max(1 / MOST_RATIO, ms / predictedMs)) - 1;
    this.#sizes[this.#seen % SIZES_KEPT] = rows;
    this.#seen += 1;
    this.#learn(1 / predictedMs, rows / predictedMs, error, this.#spread() >= operatingRows / 4);
    this.#cv += CV_WEIGHT * (Math.abs(error) - this.#cv);
    this.#measuredAtMs = this.#clock.now();
  }

  #learn(x: number, y: number, error: number, forget: boolean): void {
    let [px, py] = [this.#aa * x + this.#ac * y, this.#ac * x + this.#cc * y];
    let gain = px * x + py * y;
    if (gain < LEAST_GAIN / 2) {
      const factor = LEAST_GAIN / gain;
      this.#scale(factor);
      [px, py, gain] = [px * factor, py * factor, LEAST_GAIN];
    }
    const memory = forget ? FORGETTING : 1;
    const step = error / (memory + gain);
    const beforeMs = this.predictMs(this.#maxRows);
    this.#a += px * step;
    this.#c += py * step;
    if (forget || gain > 2 * LEAST_GAIN) {
      this.#aa = (this.#aa - (px * px) / (memory + gain)) / memory;
      this.#ac = (this.#ac - (px * py) / (memory + gain)) / memory;
      this.#cc = (this.#cc - (py * py) / (memory + gain)) / memory;
    }
    this.#bound();
    this.#scale((this.predictMs(this.#maxRows) / beforeMs) ** 2); // what is uncertain is a share, not a time
    this.#capVariance();
  }

  /** A negative term becomes its bound, and the other one what is likeliest then. */
  #bound(): void {
    if (this.#a < 0) {
      this.#c -= (this.#ac / this.#aa) * this.#a;
      this.#a = 0;
    }
    if (this.#c < LEAST_ROW_MS) {
      this.#a = Math.max(0, this.#a - (this.#ac / this.#cc) * (this.#c - LEAST_ROW_MS));
      this.#c = LEAST_ROW_MS;
    }
  }

  #capVariance(): void {
    const fullMs = this.predictMs(this.#maxRows);
    const variance = Math.max(this.#aa, this.#cc * this.#maxRows ** 2) / fullMs ** 2;
    if (variance > MOST_VARIANCE) this.#scale(MOST_VARIANCE / variance);
  }

  #scale(factor: number): void {
    this.#aa *= factor;
    this.#ac *= factor;
    this.#cc *= factor;
  }

  /** Rows between the smallest and the largest of the last batches. */
  #spread(): number {
    let least = Number.POSITIVE_INFINITY;
    let most = 0;
    for (let i = 0; i < Math.min(this.#seen, SIZES_KEPT); i += 1) {
      const rows = this.#sizes[i] as number;
      if (rows < least) least = rows;
      if (rows > most) most = rows;
    }
    return most - least;
  }
}
