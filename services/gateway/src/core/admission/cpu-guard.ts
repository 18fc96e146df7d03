/** While a flood is on: a loop so late delays vip and refusals. */
const LEAST_LIMIT_MS = 5;
const MOST_LIMIT_MS = 10;
/** Of the shortest default deadline. */
const DEADLINE_SHARE = 0.01;
/** Once the guard refuses, the loop is kept more in time than that, so that refusals are quick. */
const TIGHTER = 0.4;
/**
 * While no model is congested: the clients of a closed loop make the loop late by their number, and lose nothing by it. Of the
 * shortest default deadline, between these.
 */
const CALM_DEADLINE_SHARE = 0.05;
const LEAST_CALM_MS = 50;
const MOST_CALM_MS = 250;
/** A loop that works less than this is late because others have the processor: refusing requests would not help. */
const LEAST_UTILIZATION = 0.7;
/** Between two samples. */
const SAMPLE_MS = 20;
/** A pause of the collector makes one late sample, or several that fall; an overload does not end by itself. */
const FALLING = 0.9;
const GROWING = 1.1;
const LEAST_SHARE = 0.02;
const DOWN = 0.8;
/** One sample takes no more than this away. */
const MOST_DOWN = 0.4;
const UP = 1.08;
const SLOWLY_UP = 1.02;
/** Of the time in which the loop had work, others had the processor for so much: refusing does not give it back. */
const STARVED = 0.2;
/** Then what the models can serve is let on, and so much more that a queue forms again: what is refused below that are answers. */
const LEAST_EXCESS = 1.25;
/** Unless the lag grows, sample by sample, for so long: there is no time even for that. */
const HOPELESS = 4;
/** Up to so many limits behind, the guard lets on at least this part of what is admitted: less would cost answers, not refusals. */
const FAR = 2;
const ROOM = 0.9;
const LAG_WEIGHT = 0.3;
/** What prediction may take for the lateness to come. */
const MOST_LAG_MS = 25;
/** Counts of requests fade by this factor a sample. */
const FADE = 0.95;

export type LoopUse = {
  /** Share of the time in which the loop had work. */
  utilization: number;
  /** Part of it: the loop had work, and others had the processor. */
  starved: number;
};

export type LoopSample = LoopUse & {
  lagMs: number;
  /** Some model is offered more than it can serve. */
  isFlood: boolean;
  /** What models are offered of standard and bulk behind the guard, over what they can serve of it; the highest of all models. */
  excess: number;
};

/**
 * G1: the guard of this gateway's own processor. When the event loop is late, a part of standard and bulk is refused before its
 * body is read, bulk first, so that what costs most of a request is not spent on it.
 */
export class CpuGuard {
  /** Share of standard and bulk together that goes on. */
  share = 1;
  /** Shortest default deadline of the models that are called. */
  deadlineMs = Number.POSITIVE_INFINITY;
  readonly #random: () => number;
  #meanLagMs = 0;
  #lastMs = 0;
  #late = 0;
  #growing = 0;
  #standard = 0;
  #bulk = 0;
  #admitted = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Moving mean of the lateness: part of every prediction. */
  get lagMs(): number {
    return Math.min(MOST_LAG_MS, this.#meanLagMs);
  }

  /** To be called every 20 ms. */
  observe({ lagMs, utilization, starved, isFlood, excess }: LoopSample): void {
    this.#meanLagMs += LAG_WEIGHT * (lagMs - this.#meanLagMs);
    const floodMs = Math.min(MOST_LIMIT_MS, Math.max(LEAST_LIMIT_MS, DEADLINE_SHARE * this.deadlineMs));
    const calmMs = Math.min(MOST_CALM_MS, Math.max(LEAST_CALM_MS, CALM_DEADLINE_SHARE * this.deadlineMs));
    const limitMs = !isFlood ? calmMs : this.share < 1 ? TIGHTER * floodMs : floodMs;
    const grownMs = lagMs - this.#lastMs;
    const isFalling = lagMs < FALLING * this.#lastMs;
    this.#growing = lagMs > GROWING * this.#lastMs ? this.#growing + 1 : 0;
    this.#lastMs = lagMs;
    const isLate = lagMs > limitMs && utilization >= LEAST_UTILIZATION;
    this.#late = isLate ? this.#late + 1 : 0;
    const costsAnswers = starved >= STARVED && excess <= LEAST_EXCESS && lagMs <= calmMs && this.#growing < HOPELESS;
    if (!isLate || (isFlood && costsAnswers)) this.#letOn(UP);
    else if (isFlood && !isFalling && (this.#late >= 2 || this.share < 1)) this.#refuseMore(grownMs, FAR * floodMs);
    else if (!isFlood && this.#growing >= 2) this.#refuseMore(grownMs, FAR * calmMs);
    else if (!isFlood && this.#growing === 0) this.#letOn(SLOWLY_UP); // late by a number that stays: a closed loop
    this.#standard *= FADE;
    this.#bulk *= FADE;
    this.#admitted *= FADE;
  }

  /** A standard or bulk request was let in. */
  onAdmitted(): void {
    this.#admitted += 1;
  }

  /** Whether a request may go on; counts it. vip always may. */
  allows(rank: number): boolean {
    if (rank === 0) return true;
    if (rank === 1) this.#standard += 1;
    else this.#bulk += 1;
    return this.share >= 1 || this.#random() < this.#shareOf(rank);
  }

  #letOn(factor: number): void {
    this.share = Math.min(1, this.share * factor);
  }

  /** The loop falls behind by what it has too much, so the growth of the lag says how far to go down. */
  #refuseMore(grownMs: number, farMs: number): void {
    const next = this.share * Math.max(MOST_DOWN, DOWN / (1 + Math.max(0, grownMs) / SAMPLE_MS));
    const admittedShare = this.#admitted / Math.max(1, this.#standard + this.#bulk);
    const least = this.#lastMs < farMs ? Math.min(this.share, ROOM * admittedShare) : 0;
    this.share = Math.max(LEAST_SHARE, next, least);
  }

  /** Bulk pays until only the least of it is left, then standard does. */
  #shareOf(rank: number): number {
    const all = this.#standard + this.#bulk;
    const left = (this.share * all - this.#standard) / Math.max(1, this.#bulk);
    const ofBulk = Math.min(1, Math.max(LEAST_SHARE, left));
    if (rank !== 1) return ofBulk;
    return Math.min(1, Math.max(LEAST_SHARE, (this.share * all - ofBulk * this.#bulk) / Math.max(1, this.#standard)));
  }
}
