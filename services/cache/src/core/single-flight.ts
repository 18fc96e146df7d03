/**
 * Look-ups that share one question to the tier below: however many callers ask for a key, while it is waiting to be asked or
 * being asked it is asked once. `take()` empties what is waiting; the answers come by `settle()`.
 */
export class SingleFlight<C> {
  readonly #callers = new Map<string, C[]>(); // waiting to be asked, or being asked
  #waiting: string[] = [];

  /** Keys with at least one caller. */
  get size(): number {
    return this.#callers.size;
  }

  /** True: the first to wait for this key, so it must be asked. */
  join(key: string, caller: C): boolean {
    const callers = this.#callers.get(key);
    if (callers !== undefined) {
      callers.push(caller);
      return false;
    }
    this.#callers.set(key, [caller]);
    this.#waiting.push(key);
    return true;
  }

  /** The keys to ask for now, at most `most`; every one must be settled. */
  take(most: number): string[] {
    return this.#waiting.splice(0, most);
  }

  /** The callers of a key that was asked; from now on it is asked again. */
  settle(key: string): C[] {
    const callers = this.#callers.get(key) ?? [];
    this.#callers.delete(key);
    return callers;
  }
}
