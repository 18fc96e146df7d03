import type { Answer } from '../door.ts';
import type { Time } from './time.ts';

/** Refusals of one request after which it is given up: preheating is not worth a place that others need. */
const MOST_TRIES = 8;
const WITHOUT_HINT_MS = 1_000;

/** How long a refusal asks its caller to stay away, ms; undefined: it is no such refusal. */
export function retryAfterMs({ status, headers }: Pick<Answer, 'status' | 'headers'>): number | undefined {
  if (status !== 429 && status !== 503) return undefined;
  const exact = Number(headers['retry-after-ms'] || Number.NaN);
  if (exact >= 0) return exact;
  const seconds = Number(headers['retry-after'] || Number.NaN);
  return seconds >= 0 ? seconds * 1_000 : WITHOUT_HINT_MS;
}

/**
 * Stands in front of one door for all requests of a run: after a refusal nobody sends before the time that it named.
 */
export class PoliteCaller {
  readonly #time: Time;
  readonly #endMs: number;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  refusals = 0;

  /** @param endMs On the clock of `time`; nothing is sent again behind it. */
  constructor(time: Time, endMs = Number.POSITIVE_INFINITY) {
    this.#time = time;
    this.#endMs = endMs;
  }

  /** The first answer that is no refusal, or the last refusal. */
  async call(send: () => Promise<Answer>): Promise<Answer> {
    for (let tries = 1; ; tries += 1) {
      await this.#wait();
      const answer = await send();
      const hintMs = retryAfterMs(answer);
      if (hintMs === undefined) return answer;
      this.refusals += 1;
      this.#notBeforeMs = Math.max(this.#notBeforeMs, this.#time.now() + hintMs);
      if (tries === MOST_TRIES || this.#notBeforeMs >= this.#endMs) return answer;
    }
  }

  async #wait(): Promise<void> {
    for (;;) {
      const leftMs = this.#notBeforeMs - this.#time.now();
      if (leftMs <= 0) return;
      await this.#time.sleep(leftMs);
    }
  }
}
