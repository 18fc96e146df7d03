import { setTimeout as delay } from 'node:timers/promises';
import type { ConsumerSpec } from '@spillway/contracts/streams';
import type { Bus } from './bus.ts';
import { clientOf } from './connect.ts';
import type { DrainableSubscription, RawMessage } from './nats-client.ts';

export type PulledMessage = {
  subject: string;
  payload: Uint8Array;
  ackSubject: string;
  /** 1 at the first delivery. */
  deliveries: number;
  streamSeq: number;
  /** When the server stored it, ms since the epoch. */
  storedAtMs: number;
  /** Messages still waiting in the stream for this consumer. */
  pending: number;
  header(name: string): string | undefined;
  /** As they were written. */
  headerNames(): string[];
  ack(): void;
  nak(delayMs?: number): void;
  working(): void;
  term(): void;
};

const EXPIRES_MS = 20_000;
const ACK = Buffer.from('+ACK');
const NAK = Buffer.from('-NAK');
const WORKING = Buffer.from('+WPI');
const TERM = Buffer.from('+TERM');

/** `storedAtMs`: when the server stored the message, ms since the epoch. */
export type AckSubject = { deliveries: number; streamSeq: number; storedAtMs: number; pending: number };

/** `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>`, or its longer form with domain and account. */
export function parseAckSubject(subject: string): AckSubject {
  const tokens = subject.split('.');
  const at = tokens.length >= 11 ? 6 : 4;
  return {
    deliveries: Number(tokens[at]),
    streamSeq: Number(tokens[at + 1]),
    storedAtMs: Number(tokens[at + 3]) / 1e6,
    pending: Number(tokens[at + 4]),
  };
}

/**
 * Raw pulls of one durable consumer with an exact account of what was asked for: `fetch()` of the client cannot wait less
 * than a second, and `consume()` prefetches. The consumer is provided again after every reconnect.
 */
export class PullSource {
  readonly #bus: Bus;
  readonly #spec: ConsumerSpec;
  readonly #onMessage: (message: PulledMessage) => void;
  readonly #onIdle: () => void;
  readonly #onLate: (message: PulledMessage) => void;
  readonly #asked = new Map<string, number>(); // pull → messages it may still bring
  readonly #nextSubject: string;
  #inbox = '';
  #inboxSub: DrainableSubscription | undefined;
  #leave: (() => void)[] = [];
  #ready = false;
  #pulls = 0;
  #outstanding = 0;
  #epoch = 0;
  #stopped = false;

  /**
   * @param onIdle The source has become ready, or a pull ended with less than it asked for.
   * @param onLate Gets what was on its way when the source was stopped; unless handed back it comes again after `ack_wait` only,
   * and never if this was the last delivery.
   */
  constructor(
    bus: Bus,
    spec: ConsumerSpec,
    onMessage: (message: PulledMessage) => void,
    onIdle: () => void = () => undefined,
    onLate: (message: PulledMessage) => void = (message) => message.nak(),
  ) {
    this.#bus = bus;
    this.#spec = spec;
    this.#onMessage = onMessage;
    this.#onIdle = onIdle;
    this.#onLate = onLate;
    this.#nextSubject = `$JS.API.CONSUMER.MSG.NEXT.${spec.stream}.${spec.durable}`;
  }

  /** Messages asked for and neither delivered nor given up. */
  get outstanding(): number {
    return this.#outstanding;
  }

  get ready(): boolean {
    return this.#ready;
  }

  start(): void {
    const down = () => {
      this.#inboxSub?.stop();
      this.#forget();
    };
    this.#leave = [this.#bus.onDown(down), this.#bus.onUp(() => void this.#open())];
  }

  /** One more pull. Nothing happens while the consumer is not there: `onIdle` says when to ask again. */
  request(messages: number): void {
    if (!this.#ready || messages < 1) return;
    this.#pulls += 1;
    const pull = `${this.#inbox}.${this.#pulls.toString(36)}`;
    const body = `{"batch":${messages},"expires":${EXPIRES_MS * 1_000_000}}`;
    if (!this.#bus.publish(this.#nextSubject, Buffer.from(body), { reply: pull })) return;
    this.#asked.set(pull, messages);
    this.#outstanding += messages;
  }

  /** Resolves when what the server had sent before it heard of the stop has come. */
  async stop(): Promise<void> {
    for (const leave of this.#leave) leave();
    this.#stopped = true;
    const last = this.#inboxSub;
    this.#forget();
    await last?.drain();
  }

  #forget(): void {
    this.#epoch += 1;
    this.#ready = false;
    this.#asked.clear();
    this.#outstanding = 0;
    this.#inbox = '';
    this.#inboxSub = undefined;
  }

  async #open(): Promise<void> {
    void this.#inboxSub?.drain();
    this.#forget();
    const epoch = this.#epoch;
    while (epoch === this.#epoch && this.#bus.up) {
      try {
        await clientOf(this.#bus).applyConsumer(this.#spec);
        if (epoch !== this.#epoch) return;
        const inbox = this.#bus.inbox(); // a new one: late messages of old pulls cannot be mistaken for new ones
        this.#inbox = inbox;
        this.#inboxSub = clientOf(this.#bus).subscribe(`${inbox}.*`, (m) => this.#receive(m, inbox));
        this.#ready = true;
        this.#onIdle();
        return;
      } catch {
        await delay(100);
      }
    }
  }

  #receive(message: RawMessage, inbox: string): void {
    if (message.code !== 0) {
      if (inbox === this.#inbox) this.#ended(message);
      return;
    }
    if (message.reply === '') return;
    if (inbox === this.#inbox) this.#delivered();
    const { reply } = message;
    const say = (word: Uint8Array) => void this.#bus.publish(reply, word);
    const receive = this.#stopped ? this.#onLate : this.#onMessage;
    receive({
      subject: message.subject,
      payload: message.payload,
      ackSubject: reply,
      ...parseAckSubject(reply),
      header: message.header,
      headerNames: message.headerNames,
      ack: () => say(ACK),
      nak: (delayMs) => say(delayMs === undefined ? NAK : Buffer.from(`-NAK {"delay":${Math.round(delayMs * 1e6)}}`)),
      working: () => say(WORKING),
      term: () => say(TERM),
    });
  }

  /** A delivered message does not say which pull it answers; the oldest is charged, the sum is exact. */
  #delivered(): void {
    const oldest = this.#asked.entries().next().value;
    if (oldest === undefined) return;
    const [pull, left] = oldest;
    if (left <= 1) this.#asked.delete(pull);
    else this.#asked.set(pull, left - 1);
    this.#outstanding -= 1;
  }

  /** 408 the pull expired, 409 it was refused (consumer deleted, too many waiting), 503 no such consumer, 404 nothing there. */
  #ended(message: RawMessage): void {
    if (message.code === 100) return; // heartbeat
    const left = this.#asked.get(message.subject);
    if (left !== undefined) {
      this.#asked.delete(message.subject);
      this.#outstanding -= left;
    }
    if (message.code === 503 || message.code === 409) {
      const epoch = this.#epoch;
      setTimeout(() => {
        if (epoch === this.#epoch && this.#bus.up) void this.#open(); // the consumer is gone: provide it again
      }, 100).unref();
      return;
    }
    this.#onIdle();
  }
}
