import type { Codec } from '@spillway/contracts/codec';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { MAX_MESH_MESSAGE_BYTES } from './channel.ts';
import { asBuffer } from './method.ts';

/** One open stream of typed messages, seen from either end. Messages arrive in the order of sending, or not at all. */
export type Duplex<In, Out> = {
  /** Address of the other end: for logs, never for callers. */
  readonly peer: string;
  readonly open: boolean;
  /** Encoded bytes that were accepted and have not left this process; at a server's end without those of `writeAhead`. */
  readonly bufferedBytes: number;
  /**
   * Queues a message; it is encoded before this returns, so it may be reused. False: closed, or `bufferedBytes` has reached
   * the bound; the message was not taken, and `onDrain` tells when to try again.
   * @throws SpillwayError `PAYLOAD_TOO_LARGE` above 16 MiB: the stream is shared, and the receiver would end it.
   */
  send(message: Out): boolean;
  /** Messages flow from here on. A handler that throws ends the stream. */
  onMessage(handler: (message: In) => void): void;
  /** After a refused `send`: half of the buffer is free again. */
  onDrain(handler: () => void): void;
  /** The other end sends no more. With a handler the stream stays open for answers until `close`; without one it closes. */
  onEnd(handler: () => void): void;
  /** Once, whoever closed it. Undefined: in order. What was accepted by `send` may or may not have arrived. */
  onClose(handler: (reason: SpillwayError | undefined) => void): void;
  /** Stops reading: the sender's buffer fills, and its `send` says false. */
  pause(): void;
  resume(): void;
  /** Sends what was accepted, then hangs up, with this error if there is one. */
  close(error?: SpillwayError): void;
};

export type Bounds = { maxBufferedBytes: number };

/** Seconds of a busy stream; above it the peer is stuck, and waiting elsewhere is better than here. */
export const DEFAULT_BOUNDS: Bounds = { maxBufferedBytes: 4 * 1024 * 1024 };

/** What the smallest message costs in the queue besides its bytes. */
const OVERHEAD_BYTES = 64;

/** What the two ends of a gRPC call have in common. */
type Call = {
  write(bytes: Buffer, done: () => void): unknown;
  on(event: 'data', listener: (bytes: Buffer) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
  pause(): unknown;
  resume(): unknown;
};

type Transport = {
  call: Call;
  peer: string;
  /** Ends the call: in order, after what was written has left, or with an error. */
  hangUp: (error: SpillwayError | undefined) => void;
};

/** The part of a stream that both ends share: codecs, the bound, and one close. */
export class MessageStream<In, Out> implements Duplex<In, Out> {
  readonly peer: string;
  readonly #call: Call;
  readonly #hangUp: Transport['hangUp'];
  readonly #incoming: Codec<In>;
  readonly #outgoing: Codec<Out>;
  readonly #bounds: Bounds;
  #open = true;
  #bufferedBytes = 0;
  #refused = false;
  #onDrain: () => void = () => undefined;
  #onEnd: (() => void) | undefined;
  #onClose: ((reason: SpillwayError | undefined) => void)[] = [];

  constructor(transport: Transport, incoming: Codec<In>, outgoing: Codec<Out>, bounds: Bounds) {
    this.peer = transport.peer;
    this.#call = transport.call;
    this.#hangUp = transport.hangUp;
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    this.#bounds = bounds;
    // A connection that breaks ends its streams too; grpc-js tells that it broke a moment later.
    this.#call.on('end', () => setImmediate(() => this.#ended()));
  }

  get open(): boolean {
    return this.#open;
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  send(message: Out): boolean {
    if (!this.#open) return false;
    if (this.#bufferedBytes >= this.#bounds.maxBufferedBytes) {
      this.#refused = true;
      return false;
    }
    const bytes = asBuffer(this.#outgoing.encode(message));
    if (bytes.length > MAX_MESH_MESSAGE_BYTES) {
      const text = `expected a message of at most ${MAX_MESH_MESSAGE_BYTES} bytes, got ${bytes.length}`;
      throw new SpillwayError('PAYLOAD_TOO_LARGE', text, { reason: 'max_message_bytes' });
    }
    const size = bytes.length + OVERHEAD_BYTES;
    this.#bufferedBytes += size;
    this.#call.write(bytes, () => this.#left(size));
    return true;
  }

  onMessage(handler: (message: In) => void): void {
    this.#call.on('data', (bytes: Buffer) => {
      if (!this.#open) return;
      try {
        handler(this.#incoming.decode(bytes));
      } catch (thrown) {
        this.close(SpillwayError.from(thrown));
      }
    });
  }

  onDrain(handler: () => void): void {
    this.#onDrain = handler;
  }

  onEnd(handler: () => void): void {
    this.#onEnd = handler;
  }

  onClose(handler: (reason: SpillwayError | undefined) => void): void {
    this.#onClose.push(handler);
  }

  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  close(error?: SpillwayError): void {
    if (!this.#open) return;
    this.#hangUp(error);
    this.#call.resume(); // a paused call would never see its own end
    this.closed(error);
  }

  /** For the transport: the call is over. Later ends and errors of it mean nothing. */
  closed(reason: SpillwayError | undefined): void {
    if (!this.#open) return;
    this.#open = false;
    for (const handler of this.#onClose) handler(reason);
  }

  #ended(): void {
    if (!this.#open) return;
    if (this.#onEnd === undefined) this.close();
    else this.#onEnd();
  }

  #left(size: number): void {
    this.#bufferedBytes -= size;
    if (!this.#refused || !this.#open || this.#bufferedBytes > this.#bounds.maxBufferedBytes / 2) return;
    this.#refused = false;
    this.#onDrain();
  }
}
