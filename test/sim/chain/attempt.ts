import type { SimModel } from './spec.ts';

/** How an attempt ended, as its client sees it. `failed`: the process that had it is gone. */
export type Outcome = 'answered' | 'refused' | 'expired' | 'failed' | 'ticket';

export type Answer = { outcome: Outcome; reason: string; retryAfterMs: number; degraded: boolean };

/** One try of one call. `onAnswer` hears exactly one answer; later ones are lost. */
export type Attempt = {
  readonly model: SimModel;
  readonly rank: number;
  readonly tenant: string;
  readonly keyId: string;
  readonly user: number;
  readonly rows: number;
  readonly acceptsTicket: boolean;
  readonly sentAtMs: number;
  readonly deadlineMs: number;
  readonly onAnswer: (attempt: Attempt, answer: Answer) => void;
  /** Not answered yet. */
  open: boolean;
  /** The mesh took it in: it was queued somewhere. */
  admitted: boolean;
  /** Lighter variant that it was given; empty: the full model. */
  variant: string;
  /** Of the process that has it; called once. */
  onEnd: ((attempt: Attempt, answered: boolean) => void) | undefined;
};

/** Whatever serves: the product's chain, or a baseline. */
export type Service = {
  submit(attempt: Attempt, gateway: number): void;
  readonly facts: RunFacts;
};

/** What the instances saw, which no client can. */
export type RunFacts = {
  /** A run ended: how many of its rows began or ended after their deadline. */
  onRun: (rows: number, startedLate: number, endedLate: number, runMs: number) => void;
  /** Facts over time, by name: brown-out level, for one. */
  onLevel: (level: number) => void;
};

const ANSWERED: Answer = { outcome: 'answered', reason: '', retryAfterMs: 0, degraded: false };
const DEGRADED: Answer = { ...ANSWERED, degraded: true };
const EXPIRED: Answer = { outcome: 'expired', reason: 'deadline', retryAfterMs: 0, degraded: false };

/** Answers an attempt unless it has an answer. */
export function settle(attempt: Attempt, answer: Answer): void {
  if (!attempt.open) return;
  attempt.open = false;
  attempt.onEnd?.(attempt, answer.outcome === 'answered');
  attempt.onAnswer(attempt, answer);
}

export const succeed = (attempt: Attempt): void => settle(attempt, attempt.variant === '' ? ANSWERED : DEGRADED);

/** The timer of whoever owns the deadline. */
export const expire = (attempt: Attempt): void => settle(attempt, EXPIRED);

export const refuse = (attempt: Attempt, reason: string, retryAfterMs: number): void =>
  settle(attempt, { outcome: 'refused', reason, retryAfterMs, degraded: false });

export const fail = (attempt: Attempt, reason: string): void =>
  settle(attempt, { outcome: 'failed', reason, retryAfterMs: 0, degraded: false });
