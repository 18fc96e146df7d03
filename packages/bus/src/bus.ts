import type { ServiceName } from '@spillway/contracts/buckets';
import type { RawSubscription } from './nats-client.ts';

export type BusMessage = {
  subject: string;
  payload: Uint8Array;
  reply: string;
  header(name: string): string | undefined;
};

export type Subscription = RawSubscription;

export type PublishOptions = { reply?: string; headers?: Record<string, string> };
export type StreamPublishOptions = { msgId?: string; headers?: Record<string, string>; timeoutMs?: number };
export type PubAck = { stream: string; seq: number; duplicate: boolean };

/** Something that happened, for the caller's log. */
export type BusFact = { what: string; [detail: string]: unknown };

/**
 * One connection to NATS. `up` means connected *and* provisioned: streams and buckets exist. While it is not up nothing is
 * sent and every call fails at once, typed and retryable; nothing waits for a server that may not return.
 */
export type Bus = AsyncDisposable & {
  readonly service: ServiceName | 'cli';
  readonly instance: string;
  readonly up: boolean;
  readonly serverVersion: string;
  /** Largest payload the server takes, bytes. */
  readonly maxPayload: number;
  /** Called after each (re)connect, and at once if already up. Returns the way to stop listening. */
  onUp(listener: () => void): () => void;
  onDown(listener: () => void): () => void;
  /** Core NATS: at most once. False: the bus is down and nothing was sent. */
  publish(subject: string, payload: Uint8Array, options?: PublishOptions): boolean;
  /**
   * Into the stream that captures the subject.
   * @throws SpillwayError OVERLOADED (a bound of the stream; reason `queue_bound`), CONFLICT (the subject already holds its
   * one message), UNAVAILABLE (down, timed out, no such stream).
   */
  publishToStream(subject: string, payload: Uint8Array, options?: StreamPublishOptions): Promise<PubAck>;
  /** Survives reconnects. */
  subscribe(subject: string, onMessage: (message: BusMessage) => void, options?: { queue?: string }): Subscription;
  /** A new private subject. */
  inbox(): string;
  drain(): Promise<void>;
};
