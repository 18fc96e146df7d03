import { Metadata, type ServerDuplexStream, type ServiceError } from '@grpc/grpc-js';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { monotonicClock } from '@spillway/lifecycle/clock';
import { Backoff } from './backoff.ts';
import { type CallFacts, factsOf } from './call-facts.ts';
import { connectTo } from './connection.ts';
import { fromServiceError, toServiceError } from './errors.ts';
import { type Bounds, DEFAULT_BOUNDS, type Duplex, MessageStream } from './message-stream.ts';
import { type GrpcService, type Method, rawMethod } from './method.ts';

export type { Duplex } from './message-stream.ts';

/** The server's end, with what the call brought along. */
export type ServedDuplex<In, Out> = Duplex<In, Out> & { readonly facts: CallFacts };

/** A duplex method to give to `startGrpcServer`; `streams` are those open now (to tell them of a drain, and to close them). */
export type DuplexService<In, Out> = GrpcService & { readonly streams: ReadonlySet<ServedDuplex<In, Out>> };

/**
 * Serves a bidirectional stream. `onStream` registers its handlers before it returns; the headers have left by then, so the
 * dialler knows that it is through.
 */
export function serveDuplex<In, Out>(
  method: Method<In, Out>,
  onStream: (stream: ServedDuplex<In, Out>) => void,
  bounds: Bounds = DEFAULT_BOUNDS,
): DuplexService<In, Out> {
  const streams = new Set<ServedDuplex<In, Out>>();
  const handle = (call: ServerDuplexStream<Buffer, Buffer>) => {
    call.sendMetadata(new Metadata());
    const hangUp = (error: SpillwayError | undefined) => {
      if (error === undefined) call.end();
      else call.emit('error', toServiceError(error));
    };
    const transport = { call, peer: call.getPeer(), hangUp };
    const link = new MessageStream<In, Out>(transport, method.request, method.response, bounds);
    const stream = Object.assign(link, { facts: factsOf(call) });
    streams.add(stream);
    link.onClose(() => streams.delete(stream));
    call.on('cancelled', () => link.closed(new SpillwayError('CANCELLED', 'the peer went away')));
    try {
      onStream(stream);
    } catch (thrown) {
      stream.close(SpillwayError.from(thrown));
    }
  };
  return { definition: { stream: rawMethod(method.path, 'duplex') }, handlers: { stream: handle }, streams };
}

export type DialOptions<In, Out> = {
  /** `host:port`; names are looked up again at each attempt. */
  address: string;
  method: Method<Out, In>;
  onMessage: (message: In) => void;
  /** Called before the first message of a stream: greet again, for the peer may be a new process. */
  onUp?: () => void;
  /** Why it went down, or why an attempt failed; not called by `close()`. `attempt` is the attempt about to be made, from 1. */
  onDown?: (reason: SpillwayError, attempt: number) => void;
  onDrain?: () => void;
  bounds?: Bounds;
  backoff?: { initialMs: number; maxMs: number };
  /** Longest wait for a connection and its first headers. */
  connectTimeoutMs?: number;
  /** Longest wait of `close` for the peer's end; then what it has not read is lost. Default: 1 000. */
  closeGraceMs?: number;
  random?: () => number;
};

/** A stream that comes back by itself until it is closed. What was sent while it broke is lost: the caller's deadline decides. */
export type DialledDuplex<Out> = {
  readonly up: boolean;
  readonly bufferedBytes: number;
  /** False: down, or the bound is reached; see `Duplex.send`. */
  send(message: Out): boolean;
  pause(): void;
  resume(): void;
  /** Sends what was accepted, then hangs up for good. Resolves when the peer has ended too, at most after `closeGraceMs`. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** A reset by the peer is no wish of ours: to whoever waits for an answer the peer is away. */
function endOf(error: ServiceError): SpillwayError {
  const reason = fromServiceError(error);
  if (reason.code !== 'CANCELLED') return reason;
  return new SpillwayError('UNAVAILABLE', 'the peer reset the stream', { cause: error, reason: 'peer_reset' });
}

const BACKOFF = { initialMs: 50, maxMs: 1_000 };
const CONNECT_TIMEOUT_MS = 2_000;
const CLOSE_GRACE_MS = 1_000;

export const dialDuplex = <In, Out>(options: DialOptions<In, Out>): DialledDuplex<Out> => new Dialler(options);

/** One attempt's own connection: a fresh one has no back-off of grpc-js in it, and asks DNS again. */
type Attempt<In, Out> = { stream: MessageStream<In, Out>; cancel: () => void; ended: Promise<void> };

class Dialler<In, Out> implements DialledDuplex<Out> {
  readonly #options: DialOptions<In, Out>;
  readonly #backoff: Backoff;
  #attempt: Attempt<In, Out> | undefined;
  #up = false;
  #upSinceMs = 0;
  #failures = 0;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;
  #paused = false;

  constructor(options: DialOptions<In, Out>) {
    this.#options = options;
    const random = options.random === undefined ? {} : { random: options.random };
    this.#backoff = new Backoff({ ...(options.backoff ?? BACKOFF), ...random });
    this.#dial();
  }

  get up(): boolean {
    return this.#up;
  }

  get bufferedBytes(): number {
    return this.#attempt?.stream.bufferedBytes ?? 0;
  }

  send(message: Out): boolean {
    return this.#up && (this.#attempt?.stream.send(message) ?? false);
  }

  pause(): void {
    this.#paused = true;
    this.#attempt?.stream.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#attempt?.stream.resume();
  }

  async close(): Promise<void> {
    if (this.#closed) return this.#attempt?.ended;
    this.#closed = true;
    this.#up = false;
    clearTimeout(this.#retry);
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    const grace = setTimeout(attempt.cancel, this.#options.closeGraceMs ?? CLOSE_GRACE_MS);
    attempt.stream.close();
    await attempt.ended;
    clearTimeout(grace);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #dial(): void {
    const { address, method, bounds = DEFAULT_BOUNDS } = this.#options;
    const connection = connectTo(address);
    const { path, requestSerialize, responseDeserialize } = rawMethod(method.path, 'duplex');
    const call = connection.client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      new Metadata(),
      {},
    );
    const hangUp = (error: SpillwayError | undefined) => (error === undefined ? call.end() : call.cancel());
    const stream = new MessageStream<In, Out>({ call, peer: address, hangUp }, method.response, method.request, bounds);
    const ended = Promise.withResolvers<void>();
    const late = setTimeout(() => {
      stream.close(new SpillwayError('UNAVAILABLE', 'the peer did not answer in time', { reason: 'connect_timeout' }));
      connection.abandon();
    }, this.#options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS);
    this.#attempt = { stream, cancel: () => call.cancel(), ended: ended.promise };
    call.once('metadata', () => {
      clearTimeout(late);
      if (stream.open) this.#comeUp();
    });
    call.on('error', (error: ServiceError) => stream.closed(endOf(error)));
    call.on('status', () => {
      clearTimeout(late);
      connection.close();
      ended.resolve();
    });
    stream.onClose((reason) => {
      clearTimeout(late);
      this.#goDown(reason ?? new SpillwayError('UNAVAILABLE', 'the peer hung up', { reason: 'peer_closed' }));
    });
    stream.onDrain(() => this.#options.onDrain?.());
    stream.onMessage(this.#options.onMessage);
    if (this.#paused) stream.pause();
  }

  #comeUp(): void {
    this.#up = true;
    this.#upSinceMs = monotonicClock.now();
    this.#options.onUp?.();
  }

  #goDown(reason: SpillwayError): void {
    if (this.#closed) return;
    // A peer that takes streams and ends them at once is no better than one that refuses: only a stream that lasted counts.
    const lasted = this.#up && monotonicClock.now() - this.#upSinceMs >= (this.#options.backoff ?? BACKOFF).maxMs;
    if (lasted) this.#backoff.reset();
    this.#failures = this.#up ? 1 : this.#failures + 1;
    this.#up = false;
    this.#attempt = undefined;
    this.#retry = setTimeout(() => this.#dial(), this.#backoff.next());
    this.#options.onDown?.(reason, this.#failures);
  }
}
