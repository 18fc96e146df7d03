import type { ModelRecord } from '@spillway/contracts/buckets';
import type { ReplyFrame, Route, ViewRows, WorkItem } from '@spillway/contracts/messages';
import { elementCount, unpackBytes } from '@spillway/contracts/tensor';
import { isErrorCode } from '@spillway/errors/catalogue';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Clock } from '@spillway/lifecycle/clock';
import { cacheKey } from './cache-key.ts';
import { Pending } from './pending.ts';
import { answerOf, emptyReceipt } from './receipt.ts';
import type { CacheOutcome, InferRequest, Settle, TensorValue } from './request.ts';
import { decodeTensors, encodeTensors } from './tensor-codec.ts';
import { type Outgoing, TurnBuffer } from './turn-buffer.ts';
import { costOf, resolveVersion, shapesKey, validateInputs } from './validate.ts';

/** What the pipeline needs from outside. Callbacks come exactly once, or never if the other side is lost: the deadline holds. */
export type PipelinePorts = {
  clock: Clock;
  model(name: string): ModelRecord | undefined;
  /** `undefined`: a miss. */
  cacheGet(key: Uint8Array, traceparent: string, found: (value: Uint8Array | undefined) => void): void;
  cachePut(key: Uint8Array, value: Uint8Array, ttlMs: number): void;
  fetchFeatures(
    want: { views: string[]; entities: string[]; budgetMs: number; traceparent: string },
    fetched: (rows: ViewRows[] | SpillwayError) => void,
  ): void;
  /** The buffer has become non-empty: call `flush()` at the end of this turn. */
  flushSoon(): void;
  /** The caller of a request that was sent has left. */
  cancelled(seq: number): void;
};

export type PipelineLimits = { maxInFlight: number; maxFrameBytes: number };

/** A request that is ready to be sent, for a door that sends it itself. `item.route` is 0: it stands alone. */
export type Prepared = { item: WorkItem; route: Route; model: ModelRecord };
/** Exactly one of the two is called, once. */
export type Handover = { ready(prepared: Prepared): void; failed(error: SpillwayError): void };

/** One request between admission and answer. */
export type Entry = {
  readonly seq: number;
  readonly deadlineMs: number;
  readonly request: InferRequest;
  readonly model: ModelRecord;
  readonly version: string;
  readonly rows: number;
  settle: Settle;
  inputs: TensorValue[];
  cacheKey: Uint8Array | undefined;
  cache: CacheOutcome;
  degraded: string;
  /** Look-ups that must come back before the request can be sent. */
  waitingFor: number;
  sentAtMs: number;
  /** Set: it is handed over instead of sent, and not answered from here. */
  ready: Handover['ready'] | undefined;
};

const PRESENT = 0;
const STALE = 2;

/** The path of a request behind every door: validate → cache and features → frame → answer. No I/O of its own. */
export class Pipeline {
  readonly #ports: PipelinePorts;
  readonly #limits: PipelineLimits;
  readonly #buffer: TurnBuffer;
  readonly #pending: Pending<Entry>;
  #refusing: SpillwayError | undefined;

  constructor(ports: PipelinePorts, limits: PipelineLimits) {
    this.#ports = ports;
    this.#limits = limits;
    this.#buffer = new TurnBuffer({ maxFrameBytes: limits.maxFrameBytes });
    this.#pending = new Pending(ports.clock, limits.maxInFlight);
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  /** While set, new requests are refused with this error (the bus is away, the service drains). */
  refuse(error: SpillwayError | undefined): void {
    this.#refusing = error;
  }

  /**
   * Takes a request in. `settle` is called exactly once, possibly before this returns.
   * @returns A function that gives the request up: its caller has left, nobody is told.
   */
  submit(request: InferRequest, settle: Settle): () => void {
    try {
      const entry = this.#admit(request, settle);
      this.#pending.add(entry);
      this.#prepare(entry);
      return () => {
        if (this.#pending.take(entry.seq) !== undefined && entry.sentAtMs > 0) this.#ports.cancelled(entry.seq);
      };
    } catch (thrown) {
      settle.failed(SpillwayError.from(thrown));
      return () => undefined;
    }
  }

  /**
   * Takes a request only as far as the frame: validated, its features joined, counted in flight until then. Afterwards nothing
   * is pending here: the work of a job is not answered through this gateway. The result cache has no part in it.
   */
  prepare(request: InferRequest, handover: Handover): void {
    const answered = () => {
      throw new Error('bug: a request that was only prepared has been answered');
    };
    try {
      const entry = this.#admit(request, { answered, failed: handover.failed });
      entry.ready = handover.ready;
      this.#pending.add(entry);
      this.#prepare(entry);
    } catch (thrown) {
      handover.failed(SpillwayError.from(thrown));
    }
  }

  /** @throws SpillwayError for everything that can be said at once. */
  #admit(request: InferRequest, settle: Settle): Entry {
    if (this.#refusing) throw this.#refusing;
    const model = this.#ports.model(request.model);
    if (model === undefined) throw new SpillwayError('MODEL_NOT_FOUND', 'no such model is served here');
    const version = resolveVersion(model, request.version);
    const rows = validateInputs(request, model);
    const budgetMs = Math.min(request.budgetMs ?? model.defaultDeadlineMs, model.maxDeadlineMs);
    const deadlineMs = request.receivedAtMs + budgetMs;
    if (deadlineMs <= this.#ports.clock.now()) throw expired(budgetMs);
    if (this.#pending.size >= this.#limits.maxInFlight) {
      throw new SpillwayError('OVERLOADED', `the gateway already holds ${this.#limits.maxInFlight} requests`, {
        reason: 'in_flight',
        retryAfterMs: 1_000,
      });
    }
    return {
      seq: this.#pending.nextSeq(),
      deadlineMs,
      request,
      model,
      version,
      rows,
      settle,
      inputs: request.inputs,
      cacheKey: undefined,
      cache: 'bypass',
      degraded: '',
      waitingFor: 0,
      sentAtMs: 0,
      ready: undefined,
    };
  }

  /** Cache and features run side by side; neither needs the other. */
  #prepare(entry: Entry): void {
    const { request, model } = entry;
    const cacheable = model.responseCache !== undefined && entry.ready === undefined;
    const useCache = cacheable && !(request.noCache && request.noStore);
    if (!useCache && model.features === undefined) {
      this.#enqueue(entry);
      return;
    }
    entry.waitingFor = 1; // held until both look-ups are under way
    if (useCache) this.#lookUp(entry);
    if (model.features !== undefined) this.#join(entry, model.features);
    this.#oneIsBack(entry);
  }

  #lookUp(entry: Entry): void {
    const { tenant, model, inputs, noCache, traceparent } = entry.request;
    entry.cacheKey = cacheKey({ tenant, model, version: entry.version, variant: '', inputs });
    if (noCache) return;
    entry.waitingFor += 1;
    this.#ports.cacheGet(entry.cacheKey, traceparent, (value) => {
      if (value === undefined) {
        entry.cache = 'miss';
        this.#oneIsBack(entry);
        return;
      }
      if (this.#pending.take(entry.seq) === undefined) return;
      entry.cache = 'hit';
      const outputs = decodeTensors(value);
      entry.settle.answered({ model: entry.model.model, outputs, receipt: emptyReceipt(entry) });
    });
  }

  #join(entry: Entry, features: NonNullable<ModelRecord['features']>): void {
    const ids = entry.inputs.find((input) => input.name === features.entity) as TensorValue;
    const entities = unpackBytes(ids.data, elementCount(ids.shape), ids.name).map((id) => Buffer.from(id).toString());
    const budgetMs = entry.deadlineMs - this.#ports.clock.now();
    const views = features.tensors.map(({ view }) => view);
    entry.waitingFor += 1;
    this.#ports.fetchFeatures({ views, entities, budgetMs, traceparent: entry.request.traceparent }, (rows) => {
      if (rows instanceof SpillwayError) {
        this.fail(entry.seq, rows);
        return;
      }
      const joined = rows.map((view, i): TensorValue => {
        if (view.status.some((status) => status !== PRESENT && status !== STALE)) entry.degraded = 'features';
        const name = (features.tensors[i] as { input: string }).input;
        return { name, datatype: 'FP32', shape: [entities.length, view.fields], data: view.values };
      });
      entry.inputs = [...entry.inputs.filter((input) => input.name !== features.entity), ...joined];
      this.#oneIsBack(entry);
    });
  }

  #oneIsBack(entry: Entry): void {
    entry.waitingFor -= 1;
    if (entry.waitingFor === 0 && this.#pending.has(entry.seq)) this.#enqueue(entry);
  }

  #enqueue(entry: Entry): void {
    const { model, request, inputs, rows } = entry;
    const batches = model.maxBatchSize > 0;
    entry.sentAtMs = this.#ports.clock.now();
    const item: WorkItem = {
      seq: entry.seq,
      requestId: request.id,
      budgetMs: Math.max(0, entry.deadlineMs - entry.sentAtMs),
      rows,
      cost: costOf(model, request.inputs, rows),
      route: 0,
      traceparent: request.traceparent,
      tensors: encodeTensors(inputs),
      tenant: request.tenant,
    };
    const route = { version: entry.version, variant: '', shapes: shapesKey(inputs, batches) };
    if (entry.ready !== undefined) {
      this.#pending.take(entry.seq);
      entry.ready({ item, route, model });
      return;
    }
    if (this.#buffer.empty) this.#ports.flushSoon();
    this.#buffer.add(model.model, request.trafficClass, route, item, Math.max(1, model.maxBatchSize));
  }

  /** The frames of this turn. */
  flush(): Outgoing[] {
    return this.#buffer.flush();
  }

  /** Ends a request with an error, unless it has ended. */
  fail(seq: number, error: SpillwayError): void {
    this.#pending.take(seq)?.settle.failed(error);
  }

  failAll(error: SpillwayError): void {
    for (const entry of this.#pending.takeAll()) entry.settle.failed(error);
  }

  /** Milliseconds until `expire()` has something to do. */
  dueInMs(): number {
    return this.#pending.dueInMs();
  }

  /** Answers DEADLINE_EXCEEDED to what is due. @returns how many. */
  expire(): number {
    const due = this.#pending.expired();
    for (const entry of due) entry.settle.failed(expired(entry.deadlineMs - entry.request.receivedAtMs));
    return due.length;
  }

  /** A worker's answers. What is not pending any more was answered before: ignored. */
  onReply(frame: ReplyFrame): void {
    for (const item of frame.items) {
      const entry = this.#pending.take(item.seq);
      if (entry === undefined) continue;
      if (item.errorCode !== '') {
        const code = isErrorCode(item.errorCode) ? item.errorCode : 'INTERNAL';
        entry.settle.failed(new SpillwayError(code, item.errorMessage, { reason: item.errorReason || undefined }));
        continue;
      }
      if (entry.cacheKey !== undefined && !entry.request.noStore && entry.degraded === '') {
        this.#ports.cachePut(entry.cacheKey, item.tensors, entry.model.responseCache?.ttlMs ?? 0);
      }
      entry.settle.answered(answerOf(entry, frame, item.tensors, item.queueMs));
    }
  }
}

const expired = (budgetMs: number): SpillwayError =>
  new SpillwayError('DEADLINE_EXCEEDED', `no answer within the deadline of ${Math.round(budgetMs)} ms`, {
    reason: 'expired',
  });
