/** Seconds and nanoseconds since the epoch, as OpenTelemetry passes times around. */
export type EpochTime = [seconds: number, nanoseconds: number];

export type EpochClockOptions = {
  /** Epoch ms of the monotonic clock's zero, with its fraction, as measured once at start. */
  originMs: number;
  monotonicMs: () => number;
  wallMs: () => number;
};

/** A wall clock that differs by more than this from start + elapsed has been set; below it, it is only coarse. */
const STEP_MS = 20;
/** Reading the wall clock again for each span would cost as much as the rest of it. */
const CHECK_EVERY_MS = 1_000;

/**
 * Turns times of the monotonic clock into epoch times. The origin measured at the process's start is exact to
 * microseconds, so spans of several processes of one host line up; when the wall clock is set later (NTP, a suspended
 * laptop) the origin follows, or processes older than the step would draw beside those started after it.
 */
export class EpochClock {
  readonly #monotonicMs: () => number;
  readonly #wallMs: () => number;
  #originMs: number;
  #checkedAtMs = Number.NEGATIVE_INFINITY;

  constructor({ originMs, monotonicMs, wallMs }: EpochClockOptions) {
    this.#originMs = originMs;
    this.#monotonicMs = monotonicMs;
    this.#wallMs = wallMs;
  }

  /** The origin that converts now: a span converts both of its ends with one, so that its duration is exact. */
  originMs(): number {
    const nowMs = this.#monotonicMs();
    if (nowMs - this.#checkedAtMs >= CHECK_EVERY_MS) {
      this.#checkedAtMs = nowMs;
      const measuredMs = this.#wallMs() - nowMs;
      if (Math.abs(measuredMs - this.#originMs) > STEP_MS) this.#originMs = measuredMs;
    }
    return this.#originMs;
  }
}

/** Splits before adding: one double holds epoch nanoseconds to 256 ns only, the two parts to less than one. */
export function toEpochTime(originMs: number, monotonicMs: number): EpochTime {
  const originSeconds = Math.floor(originMs / 1_000);
  const ms = originMs - originSeconds * 1_000 + monotonicMs;
  const seconds = Math.floor(ms / 1_000);
  const nanoseconds = Math.floor((ms - seconds * 1_000) * 1e6);
  return [originSeconds + seconds, nanoseconds];
}
