/** How long one of the two windows lasts. */
const WINDOW_MS = 2_500;

/** The second largest value of the last 2.5 to 5 s: near the 99th percentile at 20 a second, and blind to a single stall. */
export class WorstOfLate {
  #largest = 0;
  #second = 0;
  #before = 0;
  #sinceMs = Number.NEGATIVE_INFINITY;

  observe(value: number, nowMs: number): void {
    if (nowMs - this.#sinceMs > WINDOW_MS) {
      this.#before = nowMs - this.#sinceMs > 2 * WINDOW_MS ? 0 : this.#second;
      this.#largest = 0;
      this.#second = 0;
      this.#sinceMs = nowMs;
    }
    if (value > this.#largest) {
      this.#second = this.#largest;
      this.#largest = value;
    } else if (value > this.#second) this.#second = value;
  }

  get value(): number {
    return Math.max(this.#before, this.#second);
  }
}
