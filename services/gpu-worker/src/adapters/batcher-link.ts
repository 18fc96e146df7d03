import type { Codec } from '@spillway/contracts/codec';
import {
  type BatchDone,
  DISPATCH_PATH,
  type Hello,
  type WorkerMessage,
  workerMessageCodec,
} from '@spillway/contracts/messages';
import type { SpillwayError } from '@spillway/errors/spillway-error';
import { type DialledDuplex, dialDuplex } from '@spillway/rpc/duplex';
import { type BatchHead, batcherMessageHeadCodec } from '../core/executor-messages.ts';

/** A message of a batcher: its head read, the whole kept as it came, for the executor. */
type Incoming = { head: BatchHead | undefined; drain: boolean; message: Uint8Array };

const incomingCodec: Codec<Incoming> = {
  encode: () => {
    throw new Error('bug: a worker does not send what a batcher says');
  },
  decode: (message) => {
    const { batch, drain } = batcherMessageHeadCodec.decode(message);
    return { head: batch ?? undefined, drain: Boolean(drain), message };
  },
};

const METHOD = { path: DISPATCH_PATH, request: workerMessageCodec, response: incomingCodec };

/** A batcher that comes back gets work within this; a dial on one host costs well under a millisecond. */
const BACKOFF = { initialMs: 50, maxMs: 200 };

export type LinkEvents = {
  onUp: (link: BatcherLink) => void;
  onDown: (link: BatcherLink, reason: SpillwayError) => void;
  onBatch: (link: BatcherLink, head: BatchHead, message: Uint8Array) => void;
  /** The batcher leaves. */
  onDrain: (link: BatcherLink) => void;
};

export type LinkOptions = { instance: string; address: string; hello: () => Hello; events: LinkEvents };

/**
 * The stream to one batcher. It says Hello whenever it comes up. Once it retires it takes no more credits: it says Goodbye,
 * finishes what it holds, hangs up.
 */
export class BatcherLink {
  readonly instance: string;
  readonly address: string;
  readonly #stream: DialledDuplex<WorkerMessage>;
  readonly #hello: () => Hello;
  #held = 0;
  #failed = false;
  #retiring: PromiseWithResolvers<void> | undefined;
  #closed = false;

  constructor({ instance, address, hello, events }: LinkOptions) {
    this.instance = instance;
    this.address = address;
    this.#hello = hello;
    this.#stream = dialDuplex<Incoming, WorkerMessage>({
      address,
      method: METHOD,
      backoff: BACKOFF,
      onUp: () => {
        this.#failed = false;
        this.#stream.send({ hello: hello() });
        events.onUp(this);
      },
      onDown: (reason) => {
        if (this.#closed) return;
        this.#failed = true;
        events.onDown(this, reason);
        if (this.#retiring !== undefined) this.#close(); // nobody is left to hear of what it holds
      },
      onMessage: ({ head, drain, message }) => {
        if (head !== undefined) {
          this.#held += 1;
          events.onBatch(this, head, message);
        } else if (drain) events.onDrain(this);
      },
    });
  }

  get up(): boolean {
    return this.#stream.up;
  }

  /** It broke, or could not be made; a first attempt that is under way has not failed. */
  get failed(): boolean {
    return this.#failed;
  }

  /** Says Hello again, with what is served now. One that is down says it when it comes up. */
  greet(): void {
    if (this.#stream.up && this.#retiring === undefined) this.#stream.send({ hello: this.#hello() });
  }

  /** False: the stream is down or stuck; the credits were not sent. */
  grant(model: string, batches: number): boolean {
    return this.#stream.send({ credits: { model, batches } });
  }

  /** A batch of this link is over. If the stream broke meanwhile, its batcher is gone or has given the batch up. */
  done(done: BatchDone): void {
    this.#held -= 1;
    this.#stream.send({ done });
    if (this.#retiring !== undefined && this.#held <= 0) this.#closeSoon();
  }

  /**
   * Says Goodbye, finishes what it holds, hangs up. What the batcher sent before it read the Goodbye is still taken: the
   * stream stays for `graceMs` after the last batch.
   */
  retire(graceMs: number): Promise<void> {
    if (this.#retiring === undefined) {
      this.#retiring = Promise.withResolvers<void>();
      this.#graceMs = graceMs;
      if (this.#stream.up) this.#stream.send({ goodbye: {} });
      if (!this.#stream.up) this.#close();
      else if (this.#held <= 0) this.#closeSoon();
    }
    return this.#retiring.promise;
  }

  #graceMs = 0;
  #closing: NodeJS.Timeout | undefined;

  #closeSoon(): void {
    clearTimeout(this.#closing);
    this.#closing = setTimeout(() => {
      if (this.#held <= 0) this.#close();
    }, this.#graceMs);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#closing);
    void this.#stream.close().then(() => this.#retiring?.resolve());
  }

  /** Hangs up at once. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#retiring ??= Promise.withResolvers<void>();
    this.#close();
    return this.#retiring.promise;
  }
}
