/** Marks are at least so far apart: fine enough beside a state that comes every 50 ms. */
const MARK_EVERY_MS = 5;
/** Enough marks for the 2.5 s that a report may be old under steady traffic. A power of two. */
const MARKS = 512;

/** How much work of one class and model this gateway has sent, now and at any time of the last seconds. ims. */
export class PublishedWork {
  #total = 0;
  #times: Float64Array | undefined; // made with the first request: most models have no traffic in most classes
  #totals: Float64Array | undefined;
  #marks = 0;

  get total(): number {
    return this.#total;
  }

  add(costIms: number, nowMs: number): void {
    this.#times ??= new Float64Array(MARKS);
    this.#totals ??= new Float64Array(MARKS);
    const last = (this.#marks - 1) & (MARKS - 1);
    if (this.#marks === 0 || nowMs - this.#times[last]! >= MARK_EVERY_MS) {
      const next = this.#marks & (MARKS - 1);
      this.#times[next] = nowMs;
      this.#totals[next] = this.#total;
      this.#marks += 1;
    }
    this.#total += costIms;
  }

  /** What was sent from `sinceMs` on. Of a time before the oldest mark: all that is remembered. */
  since(sinceMs: number): number {
    const times = this.#times;
    const totals = this.#totals;
    if (times === undefined || totals === undefined) return 0;
    const mark = this.#markAt(sinceMs);
    if (mark < this.#oldest) return this.#total - totals[this.#oldest & (MARKS - 1)]!;
    const before = totals[mark & (MARKS - 1)]!;
    const passed = Math.min(1, (sinceMs - times[mark & (MARKS - 1)]!) / MARK_EVERY_MS);
    return this.#total - before - (this.#totalAt(mark + 1) - before) * passed;
  }

  /**
   * What is left now of a queue that held `workIms` at `sinceMs`, lost `drain` ims per ms while it was not empty, and got what
   * was sent since, by all gateways in proportion. O(marks since).
   */
  carryOn(queue: { workIms: number; drain: number; share: number }, sinceMs: number, nowMs: number): number {
    let work = queue.workIms;
    let atMs = sinceMs;
    let sent = this.#total - this.since(sinceMs);
    for (let mark = Math.max(this.#oldest, this.#markAt(sinceMs)); mark < this.#marks; mark += 1) {
      const timeMs = Math.max(sinceMs, this.#times![mark & (MARKS - 1)]!);
      const after = this.#totalAt(mark + 1);
      work = Math.max(0, work - queue.drain * (timeMs - atMs)) + Math.max(0, after - sent) / queue.share;
      sent = Math.max(sent, after);
      atMs = timeMs;
    }
    return Math.max(0, work - queue.drain * Math.max(0, nowMs - atMs));
  }

  get #oldest(): number {
    return Math.max(0, this.#marks - MARKS);
  }

  #totalAt(mark: number): number {
    return mark < this.#marks ? this.#totals![mark & (MARKS - 1)]! : this.#total;
  }

  /** The last mark at or before a time; one below the oldest if there is none. */
  #markAt(timeMs: number): number {
    let low = this.#oldest - 1;
    let high = this.#marks;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#times![middle & (MARKS - 1)]! <= timeMs) low = middle;
      else high = middle;
    }
    return low;
  }
}
