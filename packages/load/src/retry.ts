import type { RetryPolicy } from './kind.ts';
import type { Random } from './random.ts';

/** How a try ended, as far as a client's retries depend on it. */
export type TryEnd = {
  /** Tries so far, this one included. */
  tries: number;
  refused: boolean;
  /** The server's hint, NaN without one. */
  retryAfterMs: number;
  /** Left of the request's deadline. */
  leftMs: number;
};

const BACK_OFF_MS = 50;
const MAX_BACK_OFF_MS = 1_000;

/** Tokens that retries are paid from: a success gives a tenth, a retry takes one. Numbers of gRPC's retry throttling, A6. */
export class RetryBudget {
  #tenths: number;
  readonly #max: number;

  constructor(tokens = 100) {
    this.#max = tokens * 10;
    this.#tenths = this.#max;
  }

  succeeded(): void {
    this.#tenths = Math.min(this.#max, this.#tenths + 1);
  }

  take(): boolean {
    if (this.#tenths < 10) return false;
    this.#tenths -= 10;
    return true;
  }
}

/** Milliseconds until the next try, or undefined if there is none. */
export function nextTryInMs(policy: RetryPolicy, end: TryEnd, budget: RetryBudget, random: Random): number | undefined {
  if (policy.kind === 'none' || end.tries >= policy.tries) return undefined;
  if (policy.kind === 'naive') return 0;
  if (policy.kind === 'obey') return end.refused && !Number.isNaN(end.retryAfterMs) ? end.retryAfterMs : undefined;
  const backOffMs = random() * Math.min(MAX_BACK_OFF_MS, BACK_OFF_MS * 2 ** (end.tries - 1));
  const inMs = Number.isNaN(end.retryAfterMs) ? backOffMs : Math.max(backOffMs, end.retryAfterMs);
  return inMs < end.leftMs && budget.take() ? inMs : undefined;
}
