import type { Clock } from './clock.ts';

/** A clock that stands still until it is told to move. Starts at 1000, so that a forgotten zero shows. */
export class ManualClock implements Clock {
  #nowMs = 1_000;

  now(): number {
    return this.#nowMs;
  }

  /** @throws Error when asked to go back: the real clock never does. */
  advance(ms: number): void {
    if (!(ms >= 0)) throw new Error(`bug: a monotonic clock advances by ≥ 0 ms, got ${ms}`);
    this.#nowMs += ms;
  }
}
