import { setTimeout as delay } from 'node:timers/promises';

/** The clock and the sleep that preheating goes by; tests hand in their own. Ms. */
export type Time = { now(): number; sleep(ms: number): Promise<void> };

export const realTime: Time = { now: () => performance.now(), sleep: (ms) => delay(ms) };

/** Spreads work evenly: at most so many units per second, without catching up after a pause. */
export class Pace {
  readonly #perSecond: number;
  readonly #time: Time;
  #freeAtMs = Number.NEGATIVE_INFINITY;

  constructor(perSecond: number, time: Time) {
    this.#perSecond = perSecond;
    this.#time = time;
  }

  /** Resolves when this many units may begin. */
  async turn(units = 1): Promise<void> {
    const nowMs = this.#time.now();
    const atMs = Math.max(nowMs, this.#freeAtMs);
    this.#freeAtMs = atMs + (units * 1_000) / this.#perSecond;
    if (atMs > nowMs) await this.#time.sleep(atMs - nowMs);
  }
}

const PROGRESS_EVERY_MS = 1_000;

/** A line on how far it is, at most once a second. */
export class Progress {
  readonly #say: (line: string) => void;
  readonly #time: Time;
  #saidAtMs: number;

  constructor(say: (line: string) => void, time: Time) {
    this.#say = say;
    this.#time = time;
    this.#saidAtMs = time.now();
  }

  /** `line` is made only when it is shown. */
  at(line: () => string): void {
    if (this.#time.now() - this.#saidAtMs < PROGRESS_EVERY_MS) return;
    this.#saidAtMs = this.#time.now();
    this.#say(line());
  }
}
