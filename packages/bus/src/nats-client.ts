import { setTimeout as delay } from 'node:timers/promises';
import type { BucketSpec } from '@spillway/contracts/buckets';
import type { ConsumerSpec, StreamSpec } from '@spillway/contracts/streams';
import { SpillwayError } from '@spillway/errors/spillway-error';
import {
  AckPolicy,
  connect,
  DeliverPolicy,
  DiscardPolicy,
  Events,
  type JetStreamManager,
  Match,
  type Msg,
  type NatsConnection,
  NatsError,
  nanos,
  headers as newHeaders,
  nuid,
  ReplayPolicy,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from 'nats';
import { NatsKv } from './nats-kv.ts';

/**
 * The only file that imports `nats`: no error, enum or codec of it leaves this, `nats-kv.ts` and `stream-messages.ts`, so another
 * client line is near.
 */

/** `code` is the status of a header-only message (408, 409, 503 …), 0 for an ordinary one. Payload bytes are a view. */
export type RawMessage = {
  subject: string;
  payload: Uint8Array;
  reply: string;
  code: number;
  header(name: string): string | undefined;
  /** As they were written. */
  headerNames(): string[];
};

/** `stop`: what is on its way is dropped. */
export type RawSubscription = { stop(): void };
/** `drain`: what the server has sent before it hears of the end is still handed over. */
export type DrainableSubscription = RawSubscription & { drain(): Promise<void> };
export type ClientOptions = { url: string; name: string; inboxPrefix: string; waitForServer?: boolean };

const DRAIN_LIMIT_MS = 2_000;
const NO_STREAM = 10_059;
const CONSUMER_EXISTS = 10_148;

const toRaw = (m: Msg): RawMessage => ({
  subject: m.subject,
  payload: m.data,
  reply: m.reply ?? '',
  code: m.headers?.code ?? 0,
  header: (name) => m.headers?.get(name, Match.IgnoreCase) || undefined,
  headerNames: () => m.headers?.keys() ?? [],
});

export type { JetStreamManager as StreamManager, KV, StoredMsg as StoredMessage } from 'nats';

export const apiCode = (thrown: unknown): number =>
  thrown instanceof NatsError ? (thrown.api_error?.err_code ?? 0) : 0;

/** Everything that fails against the server is UNAVAILABLE to its caller: retryable, and never the caller's fault. */
export const unavailable = (what: string, cause: unknown): SpillwayError =>
  new SpillwayError('UNAVAILABLE', what, { reason: 'bus', retryAfterMs: 1_000, cause });

export class NatsClient {
  readonly #nc: NatsConnection;
  readonly #inboxPrefix: string;
  readonly #opening = new Set<Promise<unknown>>();
  #draining = false;

  private constructor(nc: NatsConnection, inboxPrefix: string) {
    this.#nc = nc;
    this.#inboxPrefix = inboxPrefix;
  }

  /**
   * Resolves once connected; reconnects for ever afterwards.
   * @throws SpillwayError `UNAVAILABLE`, with `waitForServer: false` only, when no server answers at the first attempt.
   */
  static async connect(options: ClientOptions): Promise<NatsClient> {
    const nc = await connect({
      servers: options.url.split(','),
      name: options.name,
      inboxPrefix: options.inboxPrefix,
      maxReconnectAttempts: -1, // the default of 10 closes the client for good
      reconnectTimeWait: 100, // default 2 s: too long for "good answers within 2 s"
      reconnectJitter: 50,
      pingInterval: 2_500, // default 2 min: a vanished peer would be noticed after minutes
      maxPingOut: 2,
      waitOnFirstConnect: options.waitForServer ?? true, // services start in any order
      timeout: 2_000, // for one attempt; the default of 20 s also keeps a closed client's process alive that long
    }).catch((cause: unknown) => {
      throw unavailable('the message bus does not answer', cause);
    });
    return new NatsClient(nc, options.inboxPrefix);
  }

  get serverVersion(): string {
    return this.#nc.info?.version ?? '';
  }

  get maxPayload(): number {
    return this.#nc.info?.max_payload ?? 1_048_576;
  }

  inbox(): string {
    return `${this.#inboxPrefix}.${nuid.next()}`;
  }

  /** `down` at once when the connection is lost; `up` when it is back (what lived in memory at the server may be gone). */
  onStatus(listener: (status: 'up' | 'down') => void): void {
    void (async () => {
      for await (const event of this.#nc.status()) {
        if (event.type === Events.Disconnect) listener('down');
        else if (event.type === Events.Reconnect) listener('up');
      }
    })();
  }

  publish(subject: string, payload: Uint8Array, reply?: string, headers?: Record<string, string>): void {
    if (reply === undefined && headers === undefined) {
      this.#nc.publish(subject, payload);
      return;
    }
    const options: { reply?: string; headers?: ReturnType<typeof newHeaders> } = {};
    if (reply !== undefined) options.reply = reply;
    if (headers !== undefined) {
      options.headers = newHeaders();
      for (const [name, value] of Object.entries(headers)) options.headers.set(name, value);
    }
    this.#nc.publish(subject, payload, options);
  }

  /** Survives reconnects. A throwing listener is a bug of the listener and ends the process. */
  subscribe(subject: string, onMessage: (message: RawMessage) => void, queue?: string): DrainableSubscription {
    const callback = (error: NatsError | null, m: Msg) => {
      if (error === null) onMessage(toRaw(m));
    };
    const sub = this.#nc.subscribe(subject, queue === undefined ? { callback } : { callback, queue });
    return { stop: () => sub.unsubscribe(), drain: () => sub.drain().catch(() => undefined) }; // fails on a closed connection
  }

  /**
   * Creates the stream or brings it to its specification, and reads it back: old servers drop options they do not know
   * without a word.
   */
  async applyStream(spec: StreamSpec): Promise<void> {
    const wanted: Partial<StreamConfig> = {
      name: spec.name,
      subjects: spec.subjects,
      storage: spec.storage === 'memory' ? StorageType.Memory : StorageType.File,
      retention: spec.retention === 'workqueue' ? RetentionPolicy.Workqueue : RetentionPolicy.Limits,
      discard: DiscardPolicy.New,
      num_replicas: 1,
      max_bytes: spec.maxBytes,
      max_age: nanos(spec.maxAgeMs),
      duplicate_window: nanos(spec.duplicateWindowMs),
    };
    if (spec.maxMessagesPerSubject !== undefined) {
      wanted.max_msgs_per_subject = spec.maxMessagesPerSubject;
      wanted.discard_new_per_subject = true;
    }
    try {
      const jsm = await this.#nc.jetstreamManager({ timeout: 2_000 });
      const found = await jsm.streams.info(spec.name).catch((thrown: unknown) => {
        if (apiCode(thrown) === NO_STREAM) return undefined;
        throw thrown;
      });
      const applied = found
        ? await this.#updateIfDifferent(found.config, wanted)
        : (await jsm.streams.add(wanted)).config;
      for (const key of ['discard', 'max_bytes', 'storage', 'retention', 'discard_new_per_subject'] as const) {
        if (wanted[key] !== undefined && applied[key] !== wanted[key]) {
          throw new Error(`stream ${spec.name}: the server keeps ${key} = ${String(applied[key])}`);
        }
      }
    } catch (cause) {
      throw unavailable(`stream ${spec.name} could not be provided`, cause);
    }
  }

  async #updateIfDifferent(found: StreamConfig, wanted: Partial<StreamConfig>): Promise<StreamConfig> {
    const different = (Object.keys(wanted) as (keyof StreamConfig)[]).some(
      (key) => JSON.stringify(found[key]) !== JSON.stringify(wanted[key]),
    );
    if (!different) return found;
    const jsm = await this.#nc.jetstreamManager();
    return (await jsm.streams.update(wanted.name as string, { ...found, ...wanted })).config;
  }

  /** Creates the durable pull consumer, or changes what may be changed of it. */
  async applyConsumer(spec: ConsumerSpec): Promise<void> {
    try {
      const jsm = await this.#nc.jetstreamManager({ timeout: 2_000 });
      const config = {
        durable_name: spec.durable,
        filter_subject: spec.filterSubject,
        ack_policy: AckPolicy.Explicit,
        deliver_policy: DeliverPolicy.All,
        replay_policy: ReplayPolicy.Instant,
        ack_wait: nanos(spec.ackWaitMs),
        max_deliver: spec.maxDeliver,
        max_ack_pending: spec.maxAckPending,
        mem_storage: spec.memory,
        max_waiting: 512,
      };
      await jsm.consumers.add(spec.stream, config).catch((thrown: unknown) => {
        // Servers from 2.11 on refuse to create what exists with other settings; older ones change it.
        if (apiCode(thrown) !== CONSUMER_EXISTS) throw thrown;
        return jsm.consumers.update(spec.stream, spec.durable, config);
      });
    } catch (cause) {
      throw unavailable(`consumer ${spec.durable} of ${spec.stream} could not be provided`, cause);
    }
  }

  async kv(spec: BucketSpec): Promise<NatsKv> {
    try {
      const kv = await this.#nc.jetstream({ timeout: 2_000 }).views.kv(spec.name, {
        history: 1,
        ttl: spec.ttlMs,
        storage: spec.storage === 'memory' ? StorageType.Memory : StorageType.File,
        ...(spec.maxBytes !== undefined && { max_bytes: spec.maxBytes }),
      });
      return new NatsKv(kv, spec.name, (open) => this.#open(open));
    } catch (cause) {
      throw unavailable(`bucket ${spec.name} could not be provided`, cause);
    }
  }

  /** What is still being opened when the client closes would leave a timer of the library behind: `drain` waits for it. */
  async #open<T>(open: () => Promise<T>): Promise<T> {
    if (this.#draining) throw new Error('the client is being closed');
    const opening = open();
    this.#opening.add(opening);
    try {
      return await opening;
    } finally {
      this.#opening.delete(opening);
    }
  }

  /** Asks nothing of the server before it is used. */
  manager(): Promise<JetStreamManager> {
    return this.#nc.jetstreamManager({ timeout: 3_000, checkAPI: false });
  }

  async flush(): Promise<void> {
    await this.#nc.flush();
  }

  /**
   * Delivers what is buffered, then closes. While the server is away the client's own drain ends without closing, or not at
   * all, and goes on dialling: so it has a limit, and the close is certain.
   */
  async drain(): Promise<void> {
    if (this.#nc.isClosed()) return;
    this.#draining = true;
    const limit = delay(DRAIN_LIMIT_MS, undefined, { ref: false });
    await Promise.race([Promise.allSettled(this.#opening), limit]);
    await Promise.race([this.#nc.drain().catch(() => undefined), limit]);
    await this.close();
  }

  async close(): Promise<void> {
    if (!this.#nc.isClosed()) await this.#nc.close();
  }
}
