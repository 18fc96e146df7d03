import type { Kind } from './kind.ts';

/** How a server ended an attempt. NaN or '' where it did not say. */
export type Answer = {
  end: 'ok' | 'ticket' | 'refused' | 'failed';
  /** Why it was refused or failed: the knob, the code, the status. */
  reason: string;
  degraded: boolean;
  wrong: boolean;
  batchRows: number;
  queueMs: number;
  retryAfterMs: number;
  /** The class that the server used. */
  trafficClass: string;
};

/** One sending of a request. Times are on the loop's clock. */
export type Attempt = {
  readonly kind: Kind;
  readonly kindIndex: number;
  /** Number of the input: requests have different ones, tries of one request the same. */
  readonly input: number;
  /** 1 for the first. */
  readonly tries: number;
  /** When it was due. */
  readonly dueMs: number;
  /** When its request was due. */
  readonly firstDueMs: number;
  /** Where its latency and deadline count from. */
  readonly zeroMs: number;
  readonly deadlineMs: number;
  /** What is left of the deadline, as the server is told. */
  readonly budgetMs: number;
  over: boolean;
  /** Gives up on it; undefined until it was sent. */
  giveUp: (() => void) | undefined;
};

/** The first attempt of a request that is due at `dueMs`. */
export const firstAttempt = (
  of: Pick<Attempt, 'kind' | 'kindIndex' | 'input' | 'deadlineMs'>,
  dueMs: number,
): Attempt => ({
  ...of,
  tries: 1,
  dueMs,
  firstDueMs: dueMs,
  zeroMs: dueMs,
  budgetMs: of.deadlineMs,
  over: false,
  giveUp: undefined,
});

/** Sends attempts. `onEnd` is called at most once, and may be called for an attempt that was given up. */
export type Transport = {
  send(attempt: Attempt, onEnd: (answer: Answer) => void): () => void;
  /** Connections open now, for the report. */
  readonly connections: number;
  close(): Promise<void>;
};

export const failed = (reason: string): Answer => ({
  end: 'failed',
  reason,
  degraded: false,
  wrong: false,
  batchRows: Number.NaN,
  queueMs: Number.NaN,
  retryAfterMs: Number.NaN,
  trafficClass: '',
});

const REFUSALS = new Set(['OVERLOADED', 'QUOTA_EXCEEDED', 'UNAVAILABLE']);

/** @param fallback What tells a refusal where the server named no code: its status. */
export function unanswered(
  code: string,
  reason: string,
  hint: string,
  fallback: { refused: boolean; text: string },
): Answer {
  const refused = code === '' ? fallback.refused : REFUSALS.has(code);
  const answer = failed(refused ? reason || code || fallback.text : code || fallback.text);
  if (refused) answer.end = 'refused';
  answer.retryAfterMs = hint === '' ? Number.NaN : Number(hint);
  return answer;
}
