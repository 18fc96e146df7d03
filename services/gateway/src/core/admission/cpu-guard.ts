/** An event loop so late delays vip too. */
const LEAST_LIMIT_MS = 5;
const MOST_LIMIT_MS = 10;
/** Of the shortest default deadline: what is late by less than this hurts nobody. */
const DEADLINE_SHARE = 0.01;
/** Between two samples. */
const SAMPLE_MS = 20;
/** A pause of the collector makes one late sample, or several that fall by this factor; an overload does not end by itself. */
const FALLING = 0.9;
const LEAST_SHARE = 0.02;
const DOWN = 0.8;
/** One sample takes no more than this away. */
const MOST_DOWN = 0.4;
const UP = 0.03;
const LAG_WEIGHT = 0.3;

/**
 * G1: the guard of this gateway's own processor. When the event loop is late, a part of standard and bulk is refused before its
 * body is read, bulk first, so that what costs most of a request is not spent on it.
 */
export class CpuGuard {
  /** Share of standard and bulk together that goes on. */
  share = 1;
  /** Moving mean of the lateness: part of every prediction. */
  lagMs = 0;
  /** Shortest default deadline of the models. */
  deadlineMs = Number.POSITIVE_INFINITY;
  readonly #random: () => number;
  #late = 0;
  #lastMs = 0;
  #standard = 0;
  #bulk = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** To be called every 20 ms. */
  observe(lagMs: number): void {
    this.lagMs += LAG_WEIGHT * (lagMs - this.lagMs);
    const limitMs = Math.min(MOST_LIMIT_MS, Math.max(LEAST_LIMIT_MS, DEADLINE_SHARE * this.deadlineMs));
    const grownMs = lagMs - this.#lastMs;
    const isFalling = lagMs < FALLING * this.#lastMs;
    this.#lastMs = lagMs;
    this.#late = lagMs > limitMs ? this.#late + 1 : 0;
    if (this.#late === 0) this.share = Math.min(1, this.share + UP);
    else if (!isFalling && (this.#late >= 2 || this.share < 1)) {
      // The loop falls behind by what it has too much, so the growth of the lag says how far to go down. While the lag falls,
      // what is let on is little enough.
      const excess = Math.max(0, grownMs) / SAMPLE_MS;
      this.share = Math.max(LEAST_SHARE, this.share * Math.max(MOST_DOWN, DOWN / (1 + excess)));
    }
    this.#standard *= 0.95;
    this.#bulk *= 0.95;
  }

  /** Whether a request may go on; counts it. vip always may. */
  allows(rank: number): boolean {
    if (rank === 0) return true;
    if (rank === 1) this.#standard += 1;
    else this.#bulk += 1;
    return this.share >= 1 || this.#random() < this.#shareOf(rank);
  }

  /** Bulk pays until only the least of it is left, then standard does. */
  #shareOf(rank: number): number {
    const all = this.#standard + this.#bulk;
    const bulkLeft = Math.min(1, Math.max(LEAST_SHARE, (this.share * all - this.#standard) / Math.max(1, this.#bulk)));
    if (rank !== 1) return bulkLeft;
    return Math.min(1, Math.max(LEAST_SHARE, (this.share * all - bulkLeft * this.#bulk) / Math.max(1, this.#standard)));
  }
}
