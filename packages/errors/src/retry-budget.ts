import type { ErrorCode } from './catalogue.ts';
import { CATALOGUE } from './catalogue.ts';

const TOKENS = 100;
const PER_SUCCESS = 0.1;
/** A hedge is a second call of its kind: at most one in fifty. */
const PER_CALL = 0.02;
const FIRST_BACK_OFF_MS = 50;
const LONGEST_BACK_OFF_MS = 1_000;

/**
 * A bucket that successes fill and repetitions empty (gRPC proposal A6): while calls succeed, a tenth of them may be repeated;
 * when nothing succeeds, repeating stops by itself. One bucket for all repetitions of one client.
 */
export class RetryBudget {
  readonly #perSuccess: number;
  #most: number;
  #tokens: number;

  /** It begins full. */
  constructor({ tokens = TOKENS, perSuccess = PER_SUCCESS }: { tokens?: number; perSuccess?: number } = {}) {
    this.#most = tokens;
    this.#tokens = tokens;
    this.#perSuccess = perSuccess;
  }

  get tokens(): number {
    return this.#tokens;
  }

  /** The most it may hold from now on. */
  limit(tokens: number): void {
    this.#most = tokens;
    this.#tokens = Math.min(tokens, this.#tokens);
  }

  succeeded(): void {
    this.#tokens = Math.min(this.#most, this.#tokens + this.#perSuccess);
  }

  /** False: there is nothing left to repeat with. */
  spend(): boolean {
    if (this.#tokens < 1 - 1e-9) return false; // ten tenths are a little less than one
    this.#tokens -= 1;
    return true;
  }
}

/** Hedges are paid twice: from the bucket of all repetitions, and from a share of the calls of their own. */
export class HedgeBudget {
  readonly #all: RetryBudget;
  readonly #own = new RetryBudget({ tokens: 1, perSuccess: PER_CALL });

  constructor(all: RetryBudget) {
    this.#all = all;
  }

  called(): void {
    this.#own.succeeded();
  }

  spend(): boolean {
    return this.#own.tokens >= 1 - 1e-9 && this.#all.spend() && this.#own.spend();
  }
}

/** A call that failed: `attempt` 0 was the first, `hintMs` is the Retry-After that came with it. */
export type Failed = { code: ErrorCode; attempt: number; hintMs: number | undefined; budgetLeftMs: number };

/**
 * When a failed call may be repeated, in ms; undefined: it may not. Never before the hint, never beyond the deadline: all attempts
 * share it. Without a hint a random back-off that doubles, so that callers which failed together do not come back together.
 */
export function retryInMs({ code, attempt, hintMs, budgetLeftMs }: Failed, random: () => number): number | undefined {
  if (CATALOGUE[code].retry !== 'after-hint') return undefined;
  const backOffMs = random() * Math.min(LONGEST_BACK_OFF_MS, FIRST_BACK_OFF_MS * 2 ** attempt);
  const waitMs = Math.max(hintMs ?? 0, backOffMs);
  return waitMs < budgetLeftMs ? waitMs : undefined;
}
