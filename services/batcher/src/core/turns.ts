/** What a model has used of its worker: the end of its last batch in virtual time. */
export type Sharer = { usedMs: number };

/**
 * Whose batch is next on executors that several models share: start-time fair queueing over the time of the runs (Goyal, Vin and
 * Cheng, 1996). An executor runs what it is sent in order, so a model of 200 ms would have forty times the time of one of 5 ms.
 */
export class Turns {
  #virtualMs = 0;

  /** False: one of `others`, of which something waits, has used less. */
  isNext(mine: Sharer, others: Iterable<Sharer>): boolean {
    const startMs = Math.max(this.#virtualMs, mine.usedMs);
    for (const other of others) if (Math.max(this.#virtualMs, other.usedMs) < startMs) return false;
    return true;
  }

  sent(mine: Sharer, runMs: number): void {
    this.#virtualMs = Math.max(this.#virtualMs, mine.usedMs);
    mine.usedMs = this.#virtualMs + runMs;
  }
}
