import type { Answer } from '../chain/attempt.ts';
import type { Draw } from '../chain/spec.ts';
import type { RetryBehaviour } from './flow.ts';

/** `endsAtMs`: the deadline of the attempt under way. */
export type Try = { attempts: number; endsAtMs: number };

const MOST_ATTEMPTS = 4;
const LARGEST_BUDGET = 100;
const EARNED_PER_SUCCESS = 0.1;
/** A client notices a failure and sends again: one way to and from a near gateway. */
const TURNAROUND_MS = 1;
const BACK_OFF_MS = 50;

/** What a client library may spend on second tries: one token each, a tenth earned by every success. */
export class RetryBudget {
  #tokens = LARGEST_BUDGET;

  succeeded(): void {
    this.#tokens = Math.min(LARGEST_BUDGET, this.#tokens + EARNED_PER_SUCCESS);
  }

  take(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

/** When a call is tried again after a failure; undefined: never. */
export function tryAgain(
  behaviour: RetryBehaviour,
  { attempts, endsAtMs }: Try,
  { outcome, retryAfterMs }: Answer,
  budget: RetryBudget,
  nowMs: number,
  draw: Draw,
): { inMs: number; newDeadline: boolean } | undefined {
  switch (behaviour) {
    case 'none':
      return undefined;
    case 'naive':
      return attempts < MOST_ATTEMPTS ? { inMs: TURNAROUND_MS, newDeadline: true } : undefined;
    case 'obey':
      return attempts === 1 && outcome === 'refused' ? { inMs: retryAfterMs, newDeadline: true } : undefined;
    case 'budget': {
      const inMs = Math.max(retryAfterMs, draw() * BACK_OFF_MS);
      if (attempts > 1 || nowMs + inMs >= endsAtMs || !budget.take()) return undefined;
      return { inMs, newDeadline: false };
    }
  }
}
