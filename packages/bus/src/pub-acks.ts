import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Clock } from '@spillway/lifecycle/clock';
import type { PubAck } from './bus.ts';
import type { RawMessage } from './nats-client.ts';

type Waiting = { resolve: (ack: PubAck) => void; reject: (error: SpillwayError) => void; expiresAtMs: number };

const STREAM_FULL = 10_077;
const NO_RESPONDERS = 503;

/** JetStream's refusal → our error. One code covers every bound; only the description tells which (dependencies: tested on 2.9.10). */
export function refusalOf(error: { err_code?: number; description?: string }): SpillwayError {
  const description = error.description ?? '';
  if (error.err_code === STREAM_FULL) {
    if (description.includes('per subject')) {
      return new SpillwayError('CONFLICT', 'the subject already holds a message', { reason: 'first_writer_won' });
    }
    return new SpillwayError('OVERLOADED', `the queue is at its bound (${description})`, {
      reason: 'queue_bound',
      retryAfterMs: 1_000,
    });
  }
  return new SpillwayError('UNAVAILABLE', 'the stream refused the message', {
    reason: 'bus',
    retryAfterMs: 1_000,
    cause: error,
  });
}

/**
 * Publishes that wait for JetStream's acknowledgement, matched by the last token of the reply subject. One subscription and
 * one map for all of them: the client's own request costs a timer and three promises for each.
 */
export class PubAcks {
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Waiting>();
  #next = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get inFlight(): number {
    return this.#waiting.size;
  }

  expect(timeoutMs: number): { token: string; ack: Promise<PubAck> } {
    this.#next += 1;
    const token = this.#next.toString(36);
    const ack = new Promise<PubAck>((resolve, reject) => {
      this.#waiting.set(token, { resolve, reject, expiresAtMs: this.#clock.now() + timeoutMs });
    });
    return { token, ack };
  }

  settle(message: RawMessage): void {
    const token = message.subject.slice(message.subject.lastIndexOf('.') + 1);
    const waiting = this.#waiting.get(token);
    if (waiting === undefined) return; // timed out before
    this.#waiting.delete(token);
    if (message.code === NO_RESPONDERS) {
      waiting.reject(
        new SpillwayError('UNAVAILABLE', 'no stream takes this message', { reason: 'bus', retryAfterMs: 1_000 }),
      );
      return;
    }
    const body = JSON.parse(Buffer.from(message.payload).toString()) as {
      stream: string;
      seq: number;
      duplicate?: boolean;
      error?: { err_code?: number; description?: string };
    };
    if (body.error) waiting.reject(refusalOf(body.error));
    else waiting.resolve({ stream: body.stream, seq: body.seq, duplicate: body.duplicate === true });
  }

  /** The message was not sent. */
  fail(token: string, error: SpillwayError): void {
    this.#waiting.get(token)?.reject(error);
    this.#waiting.delete(token);
  }

  /** Call every few hundred ms. */
  expire(): void {
    const now = this.#clock.now();
    for (const [token, waiting] of this.#waiting) {
      if (waiting.expiresAtMs > now) continue;
      this.#waiting.delete(token);
      waiting.reject(
        new SpillwayError('UNAVAILABLE', 'the stream did not acknowledge in time', {
          reason: 'bus',
          retryAfterMs: 1_000,
        }),
      );
    }
  }

  failAll(): void {
    for (const waiting of this.#waiting.values()) {
      waiting.reject(
        new SpillwayError('UNAVAILABLE', 'the message bus is away', { reason: 'bus', retryAfterMs: 1_000 }),
      );
    }
    this.#waiting.clear();
  }
}
