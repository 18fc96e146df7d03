import { setTimeout as delay } from 'node:timers/promises';
import { BUCKETS, type ServiceName } from '@spillway/contracts/buckets';
import { STREAMS } from '@spillway/contracts/streams';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { monotonicClock } from '@spillway/lifecycle/clock';
import type { Bus, BusFact, PublishOptions, StreamPublishOptions } from './bus.ts';
import { NatsClient } from './nats-client.ts';
import { EXPIRE_EVERY_MS, MAX_PUBLISHES_IN_FLIGHT, PubAcks } from './pub-acks.ts';

export type BusOptions = {
  url: string;
  service: ServiceName | 'cli';
  instance: string;
  onFact?: (fact: BusFact) => void;
  /** Gives up after this. Absent: a service waits for NATS however long it takes. */
  withinMs?: number;
};

/** The bus and the client below it; only this package sees the second. */
export type BusInternals = Bus & { readonly client: NatsClient };

const RETRY_MS = 50;

/** What every call fails with at once while there is no connection: the client itself would wait for one. */
export const away = (): SpillwayError =>
  new SpillwayError('UNAVAILABLE', 'the message bus is away', { reason: 'bus', retryAfterMs: 1_000 });

/** As the server counts them into its `max_payload`: `NATS/1.0`, a line for each, an empty line. */
function headerBytes(headers: Record<string, string> | undefined): number {
  if (headers === undefined) return 0;
  let bytes = 12;
  for (const [name, value] of Object.entries(headers)) bytes += name.length + Buffer.byteLength(value) + 4;
  return bytes;
}

async function provision(client: NatsClient): Promise<void> {
  await Promise.all(STREAMS.map((spec) => client.applyStream(spec)));
  await Promise.all(BUCKETS.map((spec) => client.kv(spec)));
}

class ConnectedBus implements BusInternals {
  readonly service: ServiceName | 'cli';
  readonly instance: string;
  readonly client: NatsClient;
  readonly #onFact: (fact: BusFact) => void;
  readonly #acks = new PubAcks(monotonicClock);
  readonly #ackInbox: string;
  readonly #expiry: NodeJS.Timeout;
  readonly #up = new Set<() => void>();
  readonly #down = new Set<() => void>();
  #isUp = false;
  #closed = false;
  #epoch = 0;

  constructor(client: NatsClient, options: BusOptions) {
    this.client = client;
    this.service = options.service;
    this.instance = options.instance;
    this.#onFact = options.onFact ?? (() => undefined);
    this.#ackInbox = client.inbox();
    client.subscribe(`${this.#ackInbox}.*`, (message) => this.#acks.settle(message));
    client.onStatus((status) => (status === 'down' ? this.#goDown() : void this.comeUp()));
    // After a pause of this process the acknowledgements often lie in the socket: they are read first (the immediate).
    this.#expiry = setInterval(() => setImmediate(() => this.#acks.expire()), EXPIRE_EVERY_MS);
    this.#expiry.unref();
  }

  get up(): boolean {
    return this.#isUp;
  }

  get serverVersion(): string {
    return this.client.serverVersion;
  }

  get maxPayload(): number {
    return this.client.maxPayload;
  }

  onUp(listener: () => void): () => void {
    this.#up.add(listener);
    if (this.#isUp) listener();
    return () => this.#up.delete(listener);
  }

  onDown(listener: () => void): () => void {
    this.#down.add(listener);
    return () => this.#down.delete(listener);
  }

  publish(subject: string, payload: Uint8Array, options?: PublishOptions): boolean {
    if (!this.#isUp) return false; // the client itself would drop it without a word
    this.client.publish(subject, payload, options?.reply, options?.headers);
    return true;
  }

  publishToStream(subject: string, payload: Uint8Array, options: StreamPublishOptions = {}) {
    if (!this.#isUp) return Promise.reject(away());
    if (this.#acks.inFlight >= MAX_PUBLISHES_IN_FLIGHT) {
      return Promise.reject(
        new SpillwayError('OVERLOADED', 'too many messages wait for their acknowledgement', {
          reason: 'publishes_in_flight',
          retryAfterMs: 1_000,
        }),
      );
    }
    const headers =
      options.msgId === undefined ? options.headers : { ...options.headers, 'Nats-Msg-Id': options.msgId };
    const bytes = payload.byteLength + headerBytes(headers);
    if (bytes > this.maxPayload) {
      const text = `expected at most ${this.maxPayload} bytes in a message, got ${bytes} with its headers`;
      return Promise.reject(new SpillwayError('PAYLOAD_TOO_LARGE', text, { reason: 'max_payload' }));
    }
    const { token, ack } = this.#acks.expect(options.timeoutMs ?? 2_000);
    try {
      this.client.publish(subject, payload, `${this.#ackInbox}.${token}`, headers);
    } catch (thrown) {
      this.#acks.fail(token, SpillwayError.from(thrown)); // a header value that NATS cannot carry
    }
    return ack;
  }

  subscribe(subject: string, onMessage: Parameters<Bus['subscribe']>[1], options?: { queue?: string }) {
    return this.client.subscribe(subject, onMessage, options?.queue);
  }

  inbox(): string {
    return this.client.inbox();
  }

  /** Provides streams and buckets, again and again until it works or the connection is lost, then tells the listeners. */
  async comeUp(): Promise<void> {
    this.#epoch += 1;
    const epoch = this.#epoch;
    for (let attempt = 1; epoch === this.#epoch && !this.#closed; attempt += 1) {
      try {
        await provision(this.client);
        if (epoch !== this.#epoch || this.#closed) return;
        this.#isUp = true;
        this.#onFact({ what: 'bus up', server_version: this.serverVersion, attempt });
        for (const listener of [...this.#up]) listener();
        return;
      } catch (error) {
        if (attempt % 20 === 1)
          this.#onFact({ what: 'bus not provisioned yet', error: String((error as Error).cause ?? error) });
        await delay(RETRY_MS);
      }
    }
  }

  #goDown(): void {
    this.#epoch += 1;
    this.#acks.failAll();
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#onFact({ what: 'bus down' });
    for (const listener of [...this.#down]) listener();
  }

  async drain(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#expiry);
    await this.client.drain();
    this.#isUp = false;
    this.#acks.failAll();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain();
  }
}

/** Resolves when connected and provisioned. @throws SpillwayError `UNAVAILABLE` with `withinMs`. */
export async function connectBus(options: BusOptions): Promise<Bus> {
  const client = await NatsClient.connect({
    url: options.url,
    name: options.instance,
    inboxPrefix: `_INBOX_${options.service}`, // whoever may subscribe to _INBOX.> reads all replies
    waitForServer: options.withinMs === undefined,
  });
  const bus = new ConnectedBus(client, options);
  const late = options.withinMs === undefined ? undefined : setTimeout(() => void bus.drain(), options.withinMs);
  await bus.comeUp();
  clearTimeout(late);
  if (options.withinMs !== undefined && !bus.up) {
    await bus.drain();
    throw away();
  }
  return bus;
}

/** The client below a bus made by `connectBus`. */
export const clientOf = (bus: Bus): NatsClient => (bus as BusInternals).client;
