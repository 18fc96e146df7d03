import type { Attempt } from '../chain/attempt.ts';

/** What an idle instance gets. `dropped` are refused now; with an empty batch the queue is asked again after `retryInMs`. */
export type Taken = { batch: Attempt[]; dropped: Attempt[]; retryInMs: number };

/** The queue of a server: all that the compared rules differ in. */
export type QueuePolicy = {
  /** False: refused at the door. */
  push(attempt: Attempt, nowMs: number): boolean;
  take(nowMs: number): Taken;
  /** A batch ended. */
  ended(rows: number, runMs: number, nowMs: number): void;
};

/** What the rules may know of the server. */
export type QueueSetting = { maxRows: number; deadlineMs: number; instances: number; rowsPerMs: number };

/** A deque of attempts that can be long: nothing moves when one leaves. */
export class Line {
  #entries: (Attempt | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#entries.length - this.#head;
  }

  push(attempt: Attempt): void {
    this.#entries.push(attempt);
  }

  first(): Attempt | undefined {
    return this.#entries[this.#head];
  }

  last(): Attempt | undefined {
    return this.length === 0 ? undefined : this.#entries[this.#entries.length - 1];
  }

  shift(): Attempt | undefined {
    if (this.length === 0) return undefined;
    const attempt = this.#entries[this.#head];
    this.#entries[this.#head] = undefined;
    this.#head += 1;
    if (this.#head > 1_024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    return attempt;
  }

  pop(): Attempt | undefined {
    return this.length === 0 ? undefined : this.#entries.pop();
  }
}

export const NOTHING: Taken = { batch: [], dropped: [], retryInMs: Number.POSITIVE_INFINITY };
