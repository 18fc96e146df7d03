import type { SpillwayClientError } from './errors.ts';

/**
 * Tokens that retries are paid from: a success gives a tenth, a retry takes one. Shared by all calls of a client, so that
 * clients do not multiply the load of a mesh that is in trouble: in the long run retries are at most a tenth of the successes.
 */
export class RetryBudget {
  readonly #maxTenths: number;
  #tenths: number;

  constructor(tokens = 100) {
    this.#maxTenths = tokens * 10;
    this.#tenths = this.#maxTenths;
  }

  get tokens(): number {
    return this.#tenths / 10;
  }

  succeeded(): void {
    this.#tenths = Math.min(this.#maxTenths, this.#tenths + 1);
  }

  /** False: there is no token, and no retry. */
  take(): boolean {
    if (this.#tenths < 10) return false;
    this.#tenths -= 10;
    return true;
  }
}

export type RetryRules = {
  /** Tries of one call, the first included. */
  maxAttempts: number;
  budget: RetryBudget;
  /** 0 ≤ x < 1. */
  random: () => number;
};

const BACK_OFF_MS = 50;
const MAX_BACK_OFF_MS = 1_000;

/**
 * Milliseconds until the next try, which is then paid for; undefined: the failure is final. Waits U(0, min(1 s, 50 ms·2ⁿ)), at
 * least the time the mesh asked for, and does not start what the deadline would cut off.
 * @param tries So far, ≥ 1.
 * @param leftMs Of the deadline that covers all tries.
 */
export function nextTryInMs(
  error: SpillwayClientError,
  tries: number,
  leftMs: number,
  { maxAttempts, budget, random }: RetryRules,
): number | undefined {
  if (!error.isRetryable || tries >= maxAttempts) return undefined;
  const backOffMs = random() * Math.min(MAX_BACK_OFF_MS, BACK_OFF_MS * 2 ** (tries - 1));
  const inMs = Math.max(backOffMs, error.retryAfterMs ?? 0);
  return inMs < leftMs && budget.take() ? inMs : undefined;
}
