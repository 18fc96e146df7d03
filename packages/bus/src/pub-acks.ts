import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Clock } from '@spillway/lifecycle/clock';
import type { PubAck } from './bus.ts';
import type { RawMessage } from './nats-client.ts';

type Waiting = {
  seq: number;
  resolve: (ack: PubAck) => void;
  reject: (error: SpillwayError) => void;
  expiresAtMs: number;
};

/** Larger unacknowledged windows starve the consumers of the same stream. */
export const MAX_PUBLISHES_IN_FLIGHT = 2_048;
const SLOTS = 2 * MAX_PUBLISHES_IN_FLIGHT; // at most half full: a free one is always near
/** How often `expire` is to be called. */
export const EXPIRE_EVERY_MS = 250;
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
 * one ring for all of them: the client's own request costs a timer and three promises for each.
 */
export class PubAcks {
  readonly #clock: Clock;
  /** A ring, not a Map: abandoned copies of a Map would keep acknowledged messages alive until the next full collection. */
  readonly #slots = new Array<Waiting | undefined>(SLOTS).fill(undefined);
  #inFlight = 0;
  #lastSeq = 0;
  #lookedAtMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lookedAtMs = clock.now();
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** At most `MAX_PUBLISHES_IN_FLIGHT` may be waited for at a time; the caller asks `inFlight` first. */
  expect(timeoutMs: number): { token: string; ack: Promise<PubAck> } {
    do this.#lastSeq += 1;
    while (this.#slots[this.#lastSeq % SLOTS] !== undefined);
    const seq = this.#lastSeq;
    const ack = new Promise<PubAck>((resolve, reject) => {
      this.#slots[seq % SLOTS] = { seq, resolve, reject, expiresAtMs: this.#clock.now() + timeoutMs };
    });
    this.#inFlight += 1;
    return { token: seq.toString(36), ack };
  }

  #take(token: string): Waiting | undefined {
    const seq = Number.parseInt(token, 36);
    const waiting = this.#slots[seq % SLOTS];
    if (waiting?.seq !== seq) return undefined;
    this.#slots[seq % SLOTS] = undefined;
    this.#inFlight -= 1;
    return waiting;
  }

  settle(message: RawMessage): void {
    const token = message.subject.slice(message.subject.lastIndexOf('.') + 1);
    const waiting = this.#take(token);
    if (waiting === undefined) return; // timed out before
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
    this.#take(token)?.reject(error);
  }

  /**
   * To be called every `EXPIRE_EVERY_MS`. For as long as it was not called this process stood still, and perhaps the whole machine,
   * with the server on it: that is no waiting.
   */
  expire(): void {
    const now = this.#clock.now();
    const unlookedMs = now - this.#lookedAtMs;
    this.#lookedAtMs = now;
    if (unlookedMs > 2 * EXPIRE_EVERY_MS) {
      for (const waiting of this.#slots) if (waiting !== undefined) waiting.expiresAtMs += unlookedMs;
    }
    this.#end(({ expiresAtMs }) => expiresAtMs <= now, 'the stream did not acknowledge in time');
  }

  failAll(): void {
    this.#end(() => true, 'the message bus is away');
  }

  #end(ends: (waiting: Waiting) => boolean, text: string): void {
    if (this.#inFlight === 0) return;
    for (let i = 0; i < SLOTS; i += 1) {
      const waiting = this.#slots[i];
      if (waiting === undefined || !ends(waiting)) continue;
      this.#slots[i] = undefined;
      this.#inFlight -= 1;
      waiting.reject(new SpillwayError('UNAVAILABLE', text, { reason: 'bus', retryAfterMs: 1_000 }));
    }
  }
}
