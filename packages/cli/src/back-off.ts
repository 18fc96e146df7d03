const FIRST_MS = 100;
const LONGEST_MS = 5_000;
/** Ready for this long counts as well: the next crash is a new one. */
export const HEALTHY_MS = 10_000;

/** How long to wait before a crashed child is started again: 100 ms, doubling up to 5 s, from the start again after health. */
export class BackOff {
  #nextMs = FIRST_MS;

  /** @param healthyMs How long the child that just ended had been ready; 0 if it never was. */
  afterCrash(healthyMs: number): number {
    if (healthyMs >= HEALTHY_MS) this.#nextMs = FIRST_MS;
    const delayMs = this.#nextMs;
    this.#nextMs = Math.min(delayMs * 2, LONGEST_MS);
    return delayMs;
  }
}
