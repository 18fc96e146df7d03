/** Less than this share of the capacity is no spare capacity: it goes as fast as it comes. */
const LEAST_SHARE = 0.05;
/** What is not used of the spare rate is there when requests come. */
const USED_SHARE = 0.9;
/** With fewer requests than this share of the capacity nobody needs the rest. */
const IDLE_SHARE = 0.01;

/** Lets durable jobs have, beyond their floor, most of what synchronous work leaves free: a bucket of instance milliseconds. */
export class SpareRate {
  #unused = Number.POSITIVE_INFINITY;
  #atMs: number;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
  }

  /** @param capacity Instances. @param rate Of synchronous work, in the same unit. @param mostMs Saved up at most. */
  tick(capacity: number, rate: number, mostMs: number, nowMs: number): void {
    const passedMs = nowMs - this.#atMs;
    this.#atMs = nowMs;
    const spare = capacity - rate;
    if (rate <= IDLE_SHARE * capacity) this.#unused = Number.POSITIVE_INFINITY;
    else if (spare <= LEAST_SHARE * capacity) this.#unused = Math.min(this.#unused, 0);
    else this.#unused = Math.min(mostMs, this.#unused + USED_SHARE * spare * passedMs);
  }

  get open(): boolean {
    return this.#unused > 0;
  }

  /** Enough is saved for a run of so long, although requests wait. */
  owes(ms: number): boolean {
    return this.#unused >= ms && this.#unused < Number.POSITIVE_INFINITY;
  }

  spend(ms: number): void {
    this.#unused -= ms;
  }
}
