const STEP_MS = 100;
const ENTER_AFTER_MS = 300;
const LEAVE_AFTER_MS = 5_000;
/** A level is left at this share of the pressure at which it begins. */
const LEAVE_AT = 0.6;
/** From this level on lighter variants stand in. */
const LIGHTER_LEVEL = 3;
const LIGHTER_UP = 0.1;
/** All the way in less than 10 s. */
const LIGHTER_DOWN = 0.012;

/**
 * Brown-out of one model, in levels with hysteresis: entered when the pressure has been high for 300 ms, left when it has been
 * low for 5 s, one level a step, so that a flood that comes in waves does not make answers flicker between full and lighter.
 */
export class BrownOut {
  level = 0;
  pressure = 0;
  /** Share of the eligible requests that get a lighter variant. */
  lighterShare = 0;
  readonly #levels: readonly number[];
  readonly #highSinceMs: number[];
  readonly #lowSinceMs: number[];
  #steppedMs: number;

  /** @param levels Pressure at which each level begins, ascending. */
  constructor(levels: readonly number[], nowMs: number) {
    this.#levels = levels;
    this.#highSinceMs = levels.map(() => Number.POSITIVE_INFINITY);
    this.#lowSinceMs = levels.map(() => nowMs);
    this.#steppedMs = nowMs;
  }

  /** To be called at least every 100 ms. The pressure is 1 at capacity. */
  update(pressure: number, nowMs: number): void {
    this.pressure = pressure;
    this.#levels.forEach((begin, i) => {
      if (!(pressure >= begin)) this.#highSinceMs[i] = Number.POSITIVE_INFINITY;
      else if (this.#highSinceMs[i] === Number.POSITIVE_INFINITY) this.#highSinceMs[i] = nowMs;
      if (!(pressure <= LEAVE_AT * begin)) this.#lowSinceMs[i] = Number.POSITIVE_INFINITY;
      else if (this.#lowSinceMs[i] === Number.POSITIVE_INFINITY) this.#lowSinceMs[i] = nowMs;
    });
    if (nowMs - this.#steppedMs < STEP_MS) return;
    this.#steppedMs = nowMs;
    this.#step(nowMs);
    this.#shift(pressure);
  }

  #step(nowMs: number): void {
    const { level } = this;
    if (level < this.#levels.length && nowMs - this.#highSinceMs[level]! >= ENTER_AFTER_MS) this.level += 1;
    else if (level > 0 && nowMs - this.#lowSinceMs[level - 1]! >= LEAVE_AFTER_MS) this.level -= 1;
  }

  /** Up fast, down slowly: the way back takes 10 s, and begins as soon as the pressure is low. */
  #shift(pressure: number): void {
    const begin = this.#levels[LIGHTER_LEVEL - 1] ?? Number.POSITIVE_INFINITY;
    if (pressure <= LEAVE_AT * begin) this.lighterShare = Math.max(0, this.lighterShare - LIGHTER_DOWN);
    else if (this.level >= LIGHTER_LEVEL) this.lighterShare = Math.min(1, this.lighterShare + LIGHTER_UP);
    if (this.lighterShare < LIGHTER_DOWN / 2) this.lighterShare = 0;
  }
}
