import type { Slot } from './slot.ts';

const PERIOD_MS = 100;
/** Batches at least this full show that instances have enough to do. */
const FULL = 0.95;
const BOUNDS = { least: 0.5, most: 2 };
/** With less demand than this share of the capacity, batches are small because there is nothing to do. */
const CONGESTED = 0.95;
/** Share of a standard request's deadline that admission lets a prediction use. */
const STANDARD_SHARE = 0.7;
const DEADLINES_KEPT = 64;
/** The least wait of fewer requests is chance. */
const ENOUGH = 8;

/**
 * `demand`: what callers want of this batcher, in instances. `hopMs`: to a worker and back. `othersMs`: a run of another model
 * that may be in the way.
 */
export type Seen = { refusing: boolean; demand: number; hopMs: number; othersMs: number };

/** Share of a model's shortest deadline that one batch may take. */
export const BATCH_SHARE = 0.4;

/**
 * How many instances' worth of work a model can do here: the sum of its healthy instances, each by what was learned of its own
 * time for a full batch, times γ. It is never taken from throughput: admitting less makes batches small, which lowers throughput,
 * which would lower admission again. γ corrects what is wrong with that sum, by what is seen while gateways refuse: batches that
 * are not full say that more could come in, a queue that never gets short says less.
 */
export class Capacity {
  readonly #corrects: boolean;
  readonly #deadlines = new Float64Array(DEADLINES_KEPT);
  #deadlinesSeen = 0;
  #gamma = 1;
  #periodAtMs = Number.NEGATIVE_INFINITY;
  #fillSum = 0;
  #batches = 0;
  #leastWaitMs = Number.POSITIVE_INFINITY;
  /** Requests of class standard that left since then; the one of them that waited least says how long the queue stands. */
  #left = 0;
  #leftSinceMs = Number.NEGATIVE_INFINITY;
  #dropped = 0;
  fill = 1;
  /** Instances, before and without γ. */
  raw = 0;
  healthy = 0;
  suspect = 0;
  /** Rows of the batch that capacity is counted at, and the time that the fastest worker's instance takes for it. */
  operatingRows = 1;
  runMs = 1;
  /** That worker's part of the model; undefined: there never was one. */
  reference: Slot | undefined;

  /** `corrects` false: γ stays 1. */
  constructor(corrects: boolean) {
    this.#corrects = corrects;
  }

  get gamma(): number {
    return this.#gamma;
  }

  /** Milliseconds of instances per millisecond. */
  get corrected(): number {
    return this.raw * this.#gamma;
  }

  /**
   * A batch ended on a healthy instance. `short`: nothing was left that could have joined it. `idleMs`: before it the instance had
   * nothing to do for so long. Too little work shows in small batches; where one request fills a batch, in pauses between them.
   */
  ended(rows: number, { fullRows, short, idleMs }: { fullRows: number; short: boolean; idleMs: number }): void {
    const fill = Math.min(1, rows / fullRows);
    this.#fillSum += short ? fill : 1;
    this.#batches += 1;
    if (fill >= FULL) this.#batches += Math.min(PERIOD_MS, idleMs) / this.runMs;
  }

  /** Requests were let in and could not finish any more. */
  dropped(requests: number): void {
    this.#dropped += requests;
  }

  /** So many requests of class standard left for an instance; `ms`: the shortest time that one of them waited. */
  waited(requests: number, ms: number): void {
    this.#left += requests;
    if (ms < this.#leastWaitMs) this.#leastWaitMs = ms;
  }

  /** A request of class standard came, with this much time in all. */
  observeDeadline(ms: number): void {
    this.#deadlines[this.#deadlinesSeen % DEADLINES_KEPT] = ms;
    this.#deadlinesSeen += 1;
  }

  /** Sums up the instances that take their batches here, as they are now, less what other models use of them. */
  measure(slots: readonly Slot[], rules: { shortestDeadlineMs: number; slowStartMs: number }, nowMs: number): void {
    const limitMs = BATCH_SHARE * rules.shortestDeadlineMs;
    const mine = slots.filter((slot) => slot.asked && !slot.leaving);
    let best = 0;
    for (const slot of mine) {
      const time = slot.runTime('');
      const rows = time.rowsWithin(limitMs);
      const rate = rows / time.predictMs(rows);
      if (rate <= best) continue;
      best = rate;
      this.reference = slot;
      this.operatingRows = rows;
      this.runMs = time.predictMs(rows);
    }
    this.raw = 0;
    this.healthy = 0;
    this.suspect = 0;
    for (const slot of mine) {
      const time = slot.runTime('');
      const operatingRows = time.rowsWithin(limitMs);
      for (const instance of slot.instances) {
        if (instance.suspect) {
          this.suspect += 1;
          continue;
        }
        this.healthy += 1;
        const rows = instance.rowsNow({ operatingRows, slowStartMs: rules.slowStartMs, nowMs });
        this.raw += (slot.ownShare * rows) / time.predictMs(rows) / best;
      }
    }
  }

  /** Brings γ up to date, ten times a second. */
  correct(seen: Seen, nowMs: number): void {
    if (nowMs - this.#periodAtMs < PERIOD_MS) return;
    this.#periodAtMs = nowMs;
    if (this.#batches > 0) this.fill = this.#fillSum / this.#batches;
    if (this.#corrects) {
      const next = this.#next(seen, nowMs);
      this.#gamma = Math.min(BOUNDS.most, Math.max(BOUNDS.least, next));
    }
    this.#fillSum = 0;
    this.#batches = 0;
    this.#dropped = 0;
    if (this.#left < ENOUGH && seen.refusing) return;
    this.#left = 0;
    this.#leftSinceMs = nowMs;
    this.#leastWaitMs = Number.POSITIVE_INFINITY;
  }

  #next({ refusing, demand, hopMs, othersMs }: Seen, nowMs: number): number {
    const gamma = this.#gamma;
    if (!refusing) return gamma + 0.02 * (1 - gamma);
    if (this.#batches === 0) return gamma; // nothing was seen
    if (gamma > 1 && this.#dropped > 0) return 0.97 * gamma; // it was raised too far: only bulk may feel it
    if (this.fill < FULL) {
      return demand < CONGESTED * this.corrected ? gamma : gamma * (1 + Math.min(0.1, 0.2 * (1 - this.fill)));
    }
    if (this.#left < ENOUGH) return gamma;
    const targetMs = this.#targetWaitMs(hopMs, (nowMs - this.#leftSinceMs) / this.#left);
    return this.#leastWaitMs > 2 * targetMs + othersMs ? 0.97 * gamma : gamma;
  }

  /**
   * The wait of a standing queue that admission aims at, ms. Where requests leave one by one, each for a batch of its own, the
   * next one has to be at hand.
   */
  #targetWaitMs(hopMs: number, requestMs: number): number {
    const budgetMs = STANDARD_SHARE * this.#shortDeadlineMs() - 1.5 * this.runMs - hopMs;
    return Math.max(2, Math.min(Math.max(this.runMs / 2, 1.5 * requestMs), budgetMs / 2));
  }

  /** The tenth part of the requests has less time than this. */
  #shortDeadlineMs(): number {
    const known = Math.min(this.#deadlinesSeen, DEADLINES_KEPT);
    if (known === 0) return Number.POSITIVE_INFINITY;
    const sorted = this.#deadlines.slice(0, known).sort();
    return sorted[Math.floor(known / 10)] as number;
  }
}
