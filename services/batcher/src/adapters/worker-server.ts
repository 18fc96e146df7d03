import {
  type BatchDone,
  type BatcherMessage,
  batcherMessageCodec,
  DISPATCH_PATH,
  type Hello,
  type WorkerMessage,
  workerMessageCodec,
} from '@spillway/contracts/messages';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Clock } from '@spillway/lifecycle/clock';
import { type DuplexService, type ServedDuplex, serveDuplex } from '@spillway/rpc/duplex';
import { assembleBatch } from '../core/assemble-batch.ts';
import type { Dispatcher } from '../core/dispatcher.ts';
import type { Dispatch } from '../core/in-flight.ts';
import type { Ended, Returned } from '../core/returns.ts';

export const DISPATCH_METHOD = { path: DISPATCH_PATH, request: workerMessageCodec, response: batcherMessageCodec };

/** Credits bound what is on its way: two batches an instance. A peer that lets more than this pile up does not read. */
const MAX_UNSENT_BYTES = 64 * 1024 * 1024;

type Stream = ServedDuplex<WorkerMessage, BatcherMessage>;
/** By the name of its stream; `instance` is what the worker calls itself. */
type Worker = { instance: string; stream: Stream };

export type WorkerServerOptions = {
  dispatcher: Dispatcher;
  clock: Clock;
  /** Something changed for this model: a credit, an end, a worker. */
  wake: (model: string) => void;
  /** Before a batch leaves. */
  onSend: (dispatch: Dispatch) => void;
  onEnded: (ended: Ended, done: BatchDone) => void;
  onJoined: (instance: string, hello: Hello) => void;
  onLost: (instance: string, lost: Returned, reason: SpillwayError | undefined) => void;
};

/** Serves `spillway.v1.Dispatch/Work`: workers dial, grant credits, receive batches. */
export class WorkerServer {
  readonly service: DuplexService<WorkerMessage, BatcherMessage>;
  readonly #options: WorkerServerOptions;
  readonly #workers = new Map<string, Worker>();
  #count = 0;

  constructor(options: WorkerServerOptions) {
    this.#options = options;
    this.service = serveDuplex(DISPATCH_METHOD, (stream) => this.#accept(stream), {
      maxBufferedBytes: MAX_UNSENT_BYTES,
    });
  }

  /** What cannot be sent comes back at once by the loss of its worker. */
  send(dispatch: Dispatch): void {
    const { clock, onSend } = this.#options;
    const worker = this.#workers.get(dispatch.slot.worker);
    if (worker === undefined) throw new Error('bug: a batch for a worker that is gone');
    onSend(dispatch);
    try {
      if (worker.stream.send({ batch: assembleBatch(dispatch, clock.now(), dispatch.traceparent) })) return;
      const text = `expected the worker to read its batches, ${MAX_UNSENT_BYTES} bytes wait for it`;
      worker.stream.close(new SpillwayError('UNAVAILABLE', text, { reason: 'not_reading' }));
    } catch (thrown) {
      worker.stream.close(SpillwayError.from(thrown));
    }
  }

  /** Tells every worker to finish, hang up and dial another batcher. */
  sendDrain(): void {
    for (const { stream } of this.#workers.values()) stream.send({ drain: {} });
  }

  closeAll(): void {
    for (const stream of this.service.streams) stream.close();
  }

  #accept(stream: Stream): void {
    this.#count += 1;
    const name = String(this.#count);
    stream.onMessage((message) => this.#receive(name, stream, message));
    stream.onClose((reason) => this.#lost(name, reason));
  }

  #receive(name: string, stream: Stream, { hello, credits, done, goodbye }: WorkerMessage): void {
    const { dispatcher, wake } = this.#options;
    if (hello) this.#greet(name, stream, hello);
    else if (!this.#workers.has(name)) {
      throw new SpillwayError('INVALID_REQUEST', 'expected Hello as the first message of a worker');
    } else if (credits) {
      if (dispatcher.credits.grant(name, credits.model, credits.batches)) wake(credits.model);
    } else if (done) this.#done(name, done);
    else if (goodbye) for (const model of dispatcher.credits.stop(name)) wake(model);
  }

  #greet(name: string, stream: Stream, hello: Hello): void {
    const { dispatcher, onJoined, wake } = this.#options;
    this.#workers.set(name, { instance: hello.instance, stream });
    const gone = dispatcher.join(name, hello);
    onJoined(hello.instance, hello);
    for (const model of [...gone, ...hello.models.map((served) => served.model)]) wake(model);
  }

  #done(name: string, done: BatchDone): void {
    const { dispatcher, onEnded, wake } = this.#options;
    const ended = dispatcher.done(name, done);
    if (ended === undefined) return;
    onEnded(ended, done);
    wake(ended.dispatch.model);
  }

  #lost(name: string, reason: SpillwayError | undefined): void {
    const { dispatcher, onLost, wake } = this.#options;
    const worker = this.#workers.get(name);
    if (worker === undefined) return;
    this.#workers.delete(name);
    const lost = dispatcher.lost(name);
    onLost(worker.instance, lost, reason);
    for (const model of lost.models) wake(model);
  }
}
