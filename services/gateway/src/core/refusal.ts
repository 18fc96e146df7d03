import type { ReplyItem } from '@spillway/contracts/messages';
import { type ErrorCode, isErrorCode } from '@spillway/errors/catalogue';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Decision } from './admission/admission.ts';

/** What a caller is told, by the knob that fired. Constant texts: under a flood this is the hottest path of all. */
const TEXTS: Record<Exclude<Decision['reason'], ''>, string> = {
  quota: 'the quota of this key is used up',
  fair_rate: 'the model is at its capacity, and this tenant has its share of it',
  predicted_finish: 'the answer could not be ready within the deadline',
  queue_bound: 'the queue of this model and class is at its bound',
  gateway_cpu: 'the gateway is at the limit of its processor',
  expired: 'the deadline has passed',
  brownout: 'this class is not served while the overload lasts',
  bus: 'the message bus is away',
  brake: 'an operator has limited this traffic',
  limit: 'the model is at the limit that its owner has set',
};

/** The error for a request that admission refused. Generic clients are told not to repeat on their own what was shed, except vip. */
export function refusalOf({ code, reason, retryAfterMs, rank }: Decision): SpillwayError {
  const text = (TEXTS as Record<string, string>)[reason] ?? 'the request was refused';
  return SpillwayError.refusal((code || 'OVERLOADED') as ErrorCode, text, {
    reason,
    retryAfterMs,
    autoRetry: rank === 0 || code === 'UNAVAILABLE',
  });
}

export const tooManyInFlight = (limit: number): SpillwayError =>
  SpillwayError.refusal('OVERLOADED', `the gateway already holds ${limit} requests`, {
    reason: 'in_flight',
    retryAfterMs: 1_000,
  });

export const shuttingDown = (): SpillwayError =>
  new SpillwayError('UNAVAILABLE', 'this gateway is shutting down', { reason: 'draining', retryAfterMs: 500 });

/** A request whose time is over. */
export const noAnswerWithin = (budgetMs: number): SpillwayError =>
  SpillwayError.refusal('DEADLINE_EXCEEDED', `no answer within the deadline of ${Math.round(budgetMs)} ms`, {
    reason: 'expired',
  });

/** What a batcher or worker answered in place of tensors. */
export function failureOf({ errorCode, errorMessage, errorReason }: ReplyItem): SpillwayError {
  const code = isErrorCode(errorCode) ? errorCode : 'INTERNAL';
  return new SpillwayError(code, errorMessage, { reason: errorReason || undefined });
}
