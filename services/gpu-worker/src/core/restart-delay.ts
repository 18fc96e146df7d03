/** An executor that lived shorter than this after it was ready is started again with growing delay. */
const STABLE_MS = 5_000;
const DELAY = { initialMs: 100, maxMs: 5_000 };

/**
 * How long to wait with the next process of an executor. None at first, and after each killed run: runs over the limit bound
 * their own rate. Only one that dies again and again waits.
 */
export class RestartDelay<E extends object> {
  readonly #quickDeaths = new WeakMap<E, number>();

  /** @param livedMs Since it was ready; 0: it never was. @param killed Its run or its load was over the limit. */
  afterLoss(executor: E, livedMs: number, killed: boolean): number {
    const deaths = killed || livedMs >= STABLE_MS ? 0 : (this.#quickDeaths.get(executor) ?? 0);
    this.#quickDeaths.set(executor, deaths + 1);
    return deaths === 0 ? 0 : Math.min(DELAY.maxMs, DELAY.initialMs * 2 ** (deaths - 1));
  }
}
