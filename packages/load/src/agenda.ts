/** What is to happen at known times, soonest first: a binary heap. One timer of the caller serves thousands of entries. */
export class Agenda<T> {
  readonly #times: number[] = [];
  readonly #items: T[] = [];

  get size(): number {
    return this.#times.length;
  }

  /** Infinity when nothing is to happen. */
  get nextMs(): number {
    return this.#times[0] ?? Number.POSITIVE_INFINITY;
  }

  add(atMs: number, item: T): void {
    let at = this.#times.length;
    this.#times.push(atMs);
    this.#items.push(item);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((this.#times[parent] as number) <= atMs) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#put(at, atMs, item);
  }

  /** Removes the soonest entry if its time has come. */
  takeDue(nowMs: number): T | undefined {
    if (this.nextMs > nowMs) return undefined;
    const item = this.#items[0] as T;
    const lastMs = this.#times.pop() as number;
    const last = this.#items.pop() as T;
    const size = this.#times.length;
    if (size === 0) return item;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && (this.#times[child + 1] as number) < (this.#times[child] as number)) child += 1;
      if ((this.#times[child] as number) >= lastMs) break;
      this.#move(child, at);
      at = child;
    }
    this.#put(at, lastMs, last);
    return item;
  }

  #move(from: number, to: number): void {
    this.#times[to] = this.#times[from] as number;
    this.#items[to] = this.#items[from] as T;
  }

  #put(at: number, timeMs: number, item: T): void {
    this.#times[at] = timeMs;
    this.#items[at] = item;
  }
}
