import type { ErrorCode } from './catalogue.ts';
import { DEFAULT_RETRY_AFTER_MS, retryHintMs } from './retry-after.ts';
import type { SpillwayError } from './spillway-error.ts';

/**
 * What becomes of a job or event that ended with this code.
 * - `ack`: it is done; another answer was first.
 * - `delay`: `nak` with the hint as delay, any number of times: jobs are delayed, never shed.
 * - `redeliver`: `nak` while the attempt is below the bound (`max_deliver` of the consumer, or `once`), then dead-letter.
 * - `dead-letter`: copy to `dlq.<reason>`, wait for its ack, then `term`.
 * - `drop`: `term` without a copy.
 */
export type JetstreamRule = 'ack' | 'delay' | 'redeliver-to-limit' | 'redeliver-once' | 'dead-letter' | 'drop';

export const JETSTREAM = {
  INVALID_REQUEST: 'dead-letter',
  // Decided at the door, before a job exists; if one comes this far all the same, somebody should see it.
  UNAUTHENTICATED: 'dead-letter',
  FORBIDDEN: 'dead-letter',
  MODEL_NOT_FOUND: 'dead-letter',
  NOT_FOUND: 'dead-letter',
  METHOD_NOT_ALLOWED: 'dead-letter',
  CONFLICT: 'ack',
  PAYLOAD_TOO_LARGE: 'dead-letter',
  UNSUPPORTED_MEDIA: 'dead-letter',
  QUOTA_EXCEEDED: 'delay',
  OVERLOADED: 'delay',
  UNAVAILABLE: 'delay',
  DEADLINE_EXCEEDED: 'dead-letter',
  CANCELLED: 'drop',
  BACKEND_FAILED: 'redeliver-to-limit',
  UNSUPPORTED: 'dead-letter',
  INTERNAL: 'redeliver-once',
} as const satisfies Record<ErrorCode, JetstreamRule>;

/** `term` with `deadLetter`: publish the copy and wait for its ack first, else a crash between the two loses the job. */
export type JetstreamAction =
  | { kind: 'ack' }
  | { kind: 'nak'; delayMs: number }
  | { kind: 'term'; deadLetter: boolean };

/**
 * @param deliveries How often the message was delivered, this time included (JetStream's count, from 1).
 * @param maxDeliver `max_deliver` of the consumer; the last delivery is the last chance to write the dead letter.
 */
export function toJetstream(error: SpillwayError, deliveries: number, maxDeliver: number): JetstreamAction {
  const rule: JetstreamRule = JETSTREAM[error.code];
  switch (rule) {
    case 'ack':
      return { kind: 'ack' };
    case 'delay':
      return { kind: 'nak', delayMs: retryHintMs(error) ?? DEFAULT_RETRY_AFTER_MS };
    case 'redeliver-to-limit':
      return redeliver(deliveries, maxDeliver);
    case 'redeliver-once':
      return redeliver(deliveries, Math.min(2, maxDeliver));
    case 'dead-letter':
      return { kind: 'term', deadLetter: true };
    case 'drop':
      return { kind: 'term', deadLetter: false };
  }
}

const redeliver = (deliveries: number, limit: number): JetstreamAction =>
  deliveries < limit ? { kind: 'nak', delayMs: DEFAULT_RETRY_AFTER_MS } : { kind: 'term', deadLetter: true };
