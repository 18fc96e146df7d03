/** `random` yields [0, 1). */
export type BackoffOptions = { initialMs: number; maxMs: number; random?: () => number };

/**
 * Waits between attempts: doubling from `initialMs` to `maxMs`, each drawn from its upper half, so that clients that lost one
 * server do not come back in step.
 */
export class Backoff {
  readonly #initialMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #nextMs: number;

  constructor({ initialMs, maxMs, random = Math.random }: BackoffOptions) {
    this.#initialMs = initialMs;
    this.#maxMs = maxMs;
    this.#random = random;
    this.#nextMs = initialMs;
  }

  next(): number {
    const waitMs = this.#nextMs * (0.5 + this.#random() / 2);
    this.#nextMs = Math.min(this.#maxMs, this.#nextMs * 2);
    return waitMs;
  }

  reset(): void {
    this.#nextMs = this.#initialMs;
  }
}
