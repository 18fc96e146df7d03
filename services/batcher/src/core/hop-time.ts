const FIRST_MS = 1;

/**
 * The way of a message to a worker and back, without the run: the mean and two mean deviations, since who counts on the mean
 * comes too late half of the time (after Jacobson, Congestion Avoidance and Control, 1988).
 */
export class HopTime {
  #meanMs = FIRST_MS;
  #deviationMs = 0;
  #measured = false;

  /** There and back, ms. */
  get ms(): number {
    return this.#meanMs + 2 * this.#deviationMs;
  }

  observe(ms: number): void {
    if (!(ms >= 0)) return;
    const error = ms - this.#meanMs;
    if (this.#measured) {
      this.#meanMs += error / 8;
      this.#deviationMs += (Math.abs(error) - this.#deviationMs) / 4;
    } else {
      this.#measured = true;
      this.#meanMs = ms;
      this.#deviationMs = ms / 2;
    }
  }
}
