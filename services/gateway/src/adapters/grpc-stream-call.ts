import { SpillwayError } from '@spillway/errors/spillway-error';
import type { ServedDuplex } from '@spillway/rpc/duplex';
import { OrderedAnswers } from '../core/ordered-answers.ts';
import { shuttingDown } from '../core/refusal.ts';
import type { Answer, Settle } from '../core/request.ts';
import type { Ending } from '../telemetry.ts';
import type { DoorContext } from './door-context.ts';
import { asBuffer, beginRequest, type Caller, callerOf, parentOf, passDoor, requestOf, usableMs } from './grpc-call.ts';
import type { GrpcCall, GrpcDialect } from './grpc-dialect.ts';

/** Read ahead of its answers on one stream; beyond either the client is not read. */
const MAX_IN_FLIGHT = 1_024;
const MAX_IN_FLIGHT_BYTES = 16 * 1024 * 1024;

/** Node fires longer timers at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export type Stream = ServedDuplex<Uint8Array, Uint8Array>;

const NOTHING = new Uint8Array();
const leave = (): void => undefined;

/** A request whose answer has not left. */
class InFlight<C extends GrpcCall> implements Settle {
  readonly #done: (entry: InFlight<C>, outcome: Answer | SpillwayError) => void;
  readonly ending: Ending;
  readonly sizeBytes: number;
  readonly asked: C;
  settled = false;
  /** Once settled: a serialized ModelStreamInferResponse. */
  answer: Uint8Array = NOTHING;
  giveUp = leave;

  constructor(
    ending: Ending,
    sizeBytes: number,
    asked: C,
    done: (entry: InFlight<C>, outcome: Answer | SpillwayError) => void,
  ) {
    this.#done = done;
    this.asked = asked;
    this.ending = ending;
    this.sizeBytes = sizeBytes;
  }

  answered(answer: Answer): void {
    this.#done(this, answer);
  }

  failed(error: SpillwayError): void {
    this.#done(this, error);
  }
}

/** One call of `ModelStreamInfer` or its like: many requests in flight, answered in their order. */
export class StreamCall<C extends GrpcCall> {
  readonly #context: DoorContext;
  readonly #dialect: GrpcDialect<C>;
  readonly #stream: Stream;
  #caller: Caller;
  readonly #parent: string;
  /** Triton's switch: the first failure ends the stream with its status. */
  readonly #failureEnds: boolean;
  readonly #deadlineMs: number | undefined;
  readonly #answers = new OrderedAnswers<InFlight<C>>();
  #bytes = 0;
  #paused = false;
  #halfClosed = false;
  #draining = false;

  constructor(context: DoorContext, dialect: GrpcDialect<C>, stream: Stream, caller: Caller) {
    this.#context = context;
    this.#dialect = dialect;
    this.#stream = stream;
    this.#caller = caller;
    this.#parent = parentOf(stream.facts);
    this.#failureEnds = stream.facts.header('triton_grpc_error') === 'true';
    const { remainingMs } = stream.facts;
    const deadline = remainingMs === undefined ? undefined : this.#endAfter(usableMs(remainingMs));
    this.#deadlineMs = deadline?.atMs;
    stream.onMessage((message) => this.#take(asBuffer(message)));
    stream.onDrain(() => this.#flush());
    stream.onEnd(() => {
      this.#halfClosed = true;
      this.#flush();
    });
    stream.onClose((reason) => {
      clearTimeout(deadline?.timer);
      this.#abandon(reason ?? new SpillwayError('CANCELLED', 'the client cancelled the stream'));
    });
  }

  drain(): void {
    this.#draining = true;
    this.#flush();
  }

  /** Ends the stream, and gives up what is in flight on it, when the key that opened it is revoked or has expired. */
  checkKey(): void {
    if (this.#context.keys.isCurrent(this.#caller.identity)) return;
    try {
      this.#caller = callerOf(this.#context, this.#stream.facts); // its record has changed: another class, say
    } catch (thrown) {
      this.#stream.close(SpillwayError.from(thrown));
    }
  }

  /** The stream's own deadline: it ends from here, so that the client need not reset it. */
  #endAfter(usable: number): { atMs: number; timer: NodeJS.Timeout } {
    const end = () => this.#stream.close(new SpillwayError('DEADLINE_EXCEEDED', "the stream's deadline has passed"));
    const timer = setTimeout(end, Math.min(usable, MAX_TIMER_MS));
    return { atMs: this.#context.clock.now() + usable, timer };
  }

  #take(message: Buffer): void {
    this.checkKey();
    if (!this.#stream.open) return;
    const ending = beginRequest(this.#context, this.#parent, undefined);
    const entry = new InFlight(ending, message.length, this.#dialect.empty(), this.#settle);
    this.#answers.push(entry);
    this.#bytes += message.length;
    this.#regulate();
    try {
      passDoor(this.#context, this.#caller);
      this.#dialect.read(message, entry.asked, (name) => this.#context.pipeline.model(name));
      const leftMs = this.#deadlineMs === undefined ? undefined : Math.max(0, this.#deadlineMs - ending.startMs);
      const request = requestOf(this.#caller, entry.asked, ending, leftMs);
      ending.request = request;
      entry.giveUp = this.#context.pipeline.submit(request, entry);
    } catch (thrown) {
      this.#settle(entry, SpillwayError.from(thrown));
    }
  }

  readonly #settle = (entry: InFlight<C>, outcome: Answer | SpillwayError): void => {
    entry.settled = true;
    if (outcome instanceof SpillwayError) this.#failed(entry, outcome);
    else {
      const { ending, asked } = entry;
      try {
        const { requestId, traceparent, request } = ending;
        const of = { requestId, traceparent, trafficClass: request?.trafficClass ?? 'standard' };
        const place = asked.receipt ?? this.#caller.metadata.receipt;
        entry.answer = this.#dialect.streamAnswer(outcome, asked, place === 'none' ? undefined : of);
        ending.receipt = outcome.receipt;
      } catch (thrown) {
        this.#failed(entry, SpillwayError.from(thrown));
      }
    }
    this.#flush();
  };

  #failed(entry: InFlight<C>, error: SpillwayError): void {
    entry.ending.error = error;
    entry.answer = this.#dialect.streamFailure(error, entry.asked, entry.ending);
  }

  /** Sends what is first in order and known, as far as the client reads. */
  #flush(): void {
    for (let first = this.#answers.ready(); first !== undefined; first = this.#answers.ready()) {
      const { error } = first.ending;
      const ends = error !== undefined && this.#failureEnds;
      if (!ends && !this.#send(first)) return; // `onDrain` comes back
      this.#answers.shift();
      this.#bytes -= first.sizeBytes;
      this.#context.observer.end(first.ending);
      if (ends) {
        this.#stream.close(error);
        return;
      }
    }
    if (this.#answers.size === 0 && this.#halfClosed) this.#stream.close();
    else if (this.#answers.size === 0 && this.#draining) this.#stream.close(shuttingDown());
    else this.#regulate();
  }

  #send(entry: InFlight<C>): boolean {
    try {
      return this.#stream.send(entry.answer);
    } catch (thrown) {
      this.#failed(entry, SpillwayError.from(thrown)); // larger than a message may be
      return this.#stream.send(entry.answer);
    }
  }

  /** Backpressure: a client that has too much in flight is not read until half of it is answered. */
  #regulate(): void {
    const { size } = this.#answers;
    if (this.#paused) {
      if (this.#draining || size > MAX_IN_FLIGHT / 2 || this.#bytes > MAX_IN_FLIGHT_BYTES / 2) return;
      this.#paused = false;
      this.#stream.resume();
    } else if (this.#draining || size >= MAX_IN_FLIGHT || this.#bytes >= MAX_IN_FLIGHT_BYTES) {
      this.#paused = true;
      this.#stream.pause();
    }
  }

  #abandon(reason: SpillwayError): void {
    for (const entry of this.#answers.takeAll()) {
      if (!entry.settled) entry.giveUp();
      entry.settled = true;
      entry.ending.error ??= reason;
      this.#context.observer.end(entry.ending);
    }
  }
}
