/** The one method of a clock that is needed here: monotonic milliseconds. */
type Clock = { now(): number };

export type TraceSamplerOptions = {
  clock: Clock;
  /** Traces a second that are always kept: an idle mesh shows every request. */
  perSecond?: number;
  /** Share kept of what exceeds `perSecond`, 0 to 1. */
  ratio?: number;
  random?: () => number;
};

/**
 * Decides at the door which requests are traced: everything up to `perSecond`, then by ratio. A token bucket of one
 * second's depth, so that a burst after a pause is seen whole. Only the gateway owns one; every later hop follows the
 * flag in the traceparent.
 */
export class TraceSampler {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #ratio: number;
  readonly #random: () => number;
  #tokens: number;
  #filledAtMs: number;

  /** @throws Error when `perSecond` is negative or `ratio` lies outside 0 to 1. */
  constructor({ clock, perSecond = 20, ratio = 0.01, random = Math.random }: TraceSamplerOptions) {
    if (!(perSecond >= 0)) throw new Error(`expected traces per second ≥ 0, got ${perSecond}`);
    if (!(ratio >= 0 && ratio <= 1)) throw new Error(`expected a ratio from 0 to 1, got ${ratio}`);
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#ratio = ratio;
    this.#random = random;
    this.#tokens = perSecond;
    this.#filledAtMs = clock.now();
  }

  /**
   * True: make spans for this request.
   * @param divisor ≥ 1: only so small a part of what would be sampled, while the mesh has better things to do.
   */
  sample(divisor = 1): boolean {
    const nowMs = this.#clock.now();
    this.#tokens = Math.min(this.#perSecond, this.#tokens + ((nowMs - this.#filledAtMs) / 1_000) * this.#perSecond);
    this.#filledAtMs = nowMs;
    if (this.#tokens >= divisor) {
      this.#tokens -= divisor;
      return true;
    }
    return this.#random() < this.#ratio / divisor;
  }
}
