import type { Clock } from '@spillway/lifecycle/clock';

export type Waiting = { readonly seq: number; readonly deadlineMs: number };

/**
 * Requests that were sent and are not answered yet. Whoever takes a request out answers it; a second or late answer finds
 * nothing and is ignored. `seq` wraps at 2³², far beyond what can be pending.
 */
export class Pending<T extends Waiting> {
  readonly #clock: Clock;
  readonly #bySeq = new Map<number, T>();
  #lastSeq = 0;
  /** No pending request has an earlier deadline. May be too early after a take: then a look finds nothing due. */
  #earliestMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#bySeq.size;
  }

  nextSeq(): number {
    this.#lastSeq = (this.#lastSeq + 1) >>> 0;
    return this.#lastSeq;
  }

  add(waiting: T): void {
    this.#bySeq.set(waiting.seq, waiting);
    if (waiting.deadlineMs < this.#earliestMs) this.#earliestMs = waiting.deadlineMs;
  }

  has(seq: number): boolean {
    return this.#bySeq.has(seq);
  }

  /** Undefined: answered before, cancelled or expired. */
  take(seq: number): T | undefined {
    const waiting = this.#bySeq.get(seq);
    if (waiting !== undefined) this.#bySeq.delete(seq);
    return waiting;
  }

  /** Milliseconds until the next look is due; Infinity: nothing waits. */
  dueInMs(): number {
    if (this.#bySeq.size === 0) return Number.POSITIVE_INFINITY;
    return Math.max(0, this.#earliestMs - this.#clock.now());
  }

  /** Removes and returns what has passed its deadline. O(pending) when something may be due, else O(1). */
  expired(): T[] {
    const now = this.#clock.now();
    if (now < this.#earliestMs) return [];
    const due: T[] = [];
    this.#earliestMs = Number.POSITIVE_INFINITY;
    for (const waiting of this.#bySeq.values()) {
      if (waiting.deadlineMs <= now) due.push(waiting);
      else if (waiting.deadlineMs < this.#earliestMs) this.#earliestMs = waiting.deadlineMs;
    }
    for (const { seq } of due) this.#bySeq.delete(seq);
    return due;
  }

  takeAll(): T[] {
    const all = [...this.#bySeq.values()];
    this.#bySeq.clear();
    this.#earliestMs = Number.POSITIVE_INFINITY;
    return all;
  }
}
