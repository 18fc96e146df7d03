import type { ModelRecord } from '@spillway/contracts/buckets';
import { classRank } from '@spillway/contracts/classes';
import type { ReplyFrame, Route, WorkItem } from '@spillway/contracts/messages';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { Candidates } from './candidates.ts';
import { admit, type Entry, expired, type Handover, itemOf, newEntry } from './entry.ts';
import { type FeatureSpec, featureWant, HURRIED_FEATURES_MS, joinFeatures, keyOf } from './look-ups.ts';
import { Pending } from './pending.ts';
import type { PipelineLimits, PipelinePorts } from './pipeline-ports.ts';
import { answerFound, answerOf } from './receipt.ts';
import { failureOf, refusalOf, tooManyInFlight } from './refusal.ts';
import type { InferRequest, Settle } from './request.ts';
import { Resubmissions } from './resubmissions.ts';
import { type Outgoing, TurnBuffer } from './turn-buffer.ts';
import { shapesKey } from './validate.ts';

export type { Entry, Handover } from './entry.ts';
export type { Prepared } from './request.ts';

/** The path of a request behind every door: validate → cache → admission → features → frame → answer. No I/O of its own. */
export class Pipeline {
  readonly #ports: PipelinePorts;
  readonly #limits: PipelineLimits;
  readonly #buffer: TurnBuffer;
  readonly #pending: Pending<Entry>;
  readonly #candidates = new Candidates();
  readonly #again: Resubmissions;
  #refusing: SpillwayError | undefined;

  constructor(ports: PipelinePorts, limits: PipelineLimits) {
    this.#ports = ports;
    this.#limits = limits;
    this.#buffer = new TurnBuffer({ maxFrameBytes: limits.maxFrameBytes });
    this.#pending = new Pending(ports.clock, limits.maxInFlight);
    this.#again = new Resubmissions(ports.admission);
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  /** A model as the catalogue knows it, for doors whose bodies need its declaration. */
  model(name: string): ModelRecord | undefined {
    return this.#ports.model(name);
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
      const entry = this.#accept(request, settle);
      this.#prepare(entry);
      return () => {
        if (this.#take(entry.seq) === undefined) return;
        this.#ports.statistics.failed(entry, this.#ports.clock.now());
        if (entry.sentAtMs > 0) this.#ports.cancelled(entry.seq);
      };
    } catch (thrown) {
      settle.failed(SpillwayError.from(thrown));
      return () => undefined;
    }
  }

  /**
   * Takes a request only as far as the frame: validated, its features joined, counted in flight until then. Afterwards nothing
   * is pending here: the work of a job is not answered through this gateway. Neither the result cache nor admission have a part
   * in it: jobs are delayed, never shed.
   */
  prepare(request: InferRequest, handover: Handover): void {
    const answered = () => {
      throw new Error('bug: a request that was only prepared has been answered');
    };
    try {
      const entry = this.#accept(request, { answered, failed: handover.failed });
      entry.ready = handover.ready;
      this.#join(entry);
    } catch (thrown) {
      handover.failed(SpillwayError.from(thrown));
    }
  }

  /** @throws SpillwayError for everything that can be said at once. */
  #accept(request: InferRequest, settle: Settle): Entry {
    if (this.#refusing) throw this.#refusing;
    const model = this.#ports.model(request.model);
    if (model === undefined) throw new SpillwayError('MODEL_NOT_FOUND', 'no such model is served here');
    const entry = newEntry(request, settle, { model, seq: this.#pending.nextSeq() });
    if (entry.deadlineMs <= this.#ports.clock.now()) throw expired(entry);
    if (this.#pending.size >= this.#limits.maxInFlight) throw tooManyInFlight(this.#limits.maxInFlight);
    this.#pending.add(entry);
    return entry;
  }

  /**
   * A hit is answered whatever the load is, so the cache is asked first. While nothing is congested the features are fetched at
   * the same time; in a flood they are fetched for what is admitted only.
   */
  #prepare(entry: Entry): void {
    const { request, model } = entry;
    const useCache = model.responseCache !== undefined && !(request.noCache && request.noStore);
    if (useCache) entry.cacheKey = keyOf(entry);
    if (entry.cacheKey === undefined || request.noCache) {
      this.#decide(entry);
      return;
    }
    const atOnce =
      model.features !== undefined && !this.#ports.admission.congested(request.model, classRank(request.trafficClass));
    if (atOnce) entry.waitingFor = 1;
    const { traceparent, trafficClass } = request;
    const { admission, clock, statistics } = this.#ports;
    const allowStale = admission.effects.staleAllowed && request.accept.degraded;
    entry.askedAtMs = clock.now();
    this.#ports.cacheGet({ key: entry.cacheKey, traceparent, trafficClass, allowStale }, (found) => {
      if (!this.#pending.has(entry.seq)) return;
      if (found === undefined) {
        entry.cache = 'miss';
        statistics.missed(entry, clock.now());
        this.#decide(entry, atOnce);
        return;
      }
      this.#pending.take(entry.seq);
      statistics.hit(entry, clock.now());
      entry.settle.answered(answerFound(entry, found));
    });
    if (atOnce) this.#fetch(entry, model.features as FeatureSpec);
  }

  /** Which rung of the ladder. `joining`: its features are on their way already. */
  #decide(entry: Entry, joining = false): void {
    const { admission, clock } = this.#ports;
    const nowMs = clock.now();
    const decision = admission.decide(this.#candidates.of(entry, nowMs), nowMs);
    if (decision.rung === 'ticket' && entry.settle.ticket !== undefined) {
      entry.ready = entry.settle.ticket;
      if (joining) this.#oneIsBack(entry);
      else this.#join(entry);
      return;
    }
    if (decision.rung === 'refused' || decision.rung === 'ticket') {
      this.fail(entry.seq, refusalOf(decision));
      return;
    }
    admit(entry, decision);
    if (joining) this.#oneIsBack(entry);
    else this.#join(entry);
  }

  #join(entry: Entry): void {
    const { features } = entry.model;
    if (features === undefined) this.#enqueue(entry);
    else this.#fetch(entry, features);
  }

  #fetch(entry: Entry, features: FeatureSpec): void {
    const { admission, clock, fetchFeatures } = this.#ports;
    let budgetMs = entry.deadlineMs - clock.now();
    if (admission.effects.hurryFeatures && entry.request.trafficClass !== 'vip') {
      budgetMs = Math.min(budgetMs, HURRIED_FEATURES_MS);
    }
    const want = featureWant(entry, features, budgetMs);
    entry.waitingFor += 1;
    fetchFeatures(want, (rows) => {
      const error = joinFeatures(entry, features, want.entities.length, rows);
      if (error === undefined) this.#oneIsBack(entry);
      else this.fail(entry.seq, error);
    });
  }

  #oneIsBack(entry: Entry): void {
    entry.waitingFor -= 1;
    if (entry.waitingFor === 0 && this.#pending.has(entry.seq)) this.#enqueue(entry);
  }

  #enqueue(entry: Entry): void {
    const { model, inputs } = entry;
    entry.sentAtMs = this.#ports.clock.now();
    const item = itemOf(entry);
    const shapes = shapesKey(inputs, model.maxBatchSize > 0);
    const route: Route = { version: entry.version, variant: entry.variant, shapes };
    if (entry.ready !== undefined) {
      this.#pending.take(entry.seq);
      entry.ready({ item, route, model, degraded: entry.degraded });
      return;
    }
    this.#send(entry, item, route);
    this.#again.watch(entry, item, route);
  }

  #send({ model, request, costIms }: Entry, item: WorkItem, route: Route): void {
    const { admission, clock, flushSoon } = this.#ports;
    admission.published(model.model, classRank(request.trafficClass), costIms, clock.now());
    if (this.#buffer.empty) flushSoon();
    this.#buffer.add(model.model, request.trafficClass, route, item, Math.max(1, model.maxBatchSize));
  }

  /** It was let in and is too late all the same: the rung before refusal is left. */
  #toTicket(entry: Entry): void {
    entry.ready = entry.settle.ticket;
    entry.variant = '';
    this.#enqueue(entry);
  }

  /** The frames of this turn. */
  flush(): Outgoing[] {
    return this.#buffer.flush();
  }

  /** Ends a request with an error, unless it has ended. */
  fail(seq: number, error: SpillwayError): void {
    const entry = this.#take(seq);
    if (entry !== undefined) this.#fail(entry, error);
  }

  failAll(error: SpillwayError): void {
    for (const entry of this.#pending.takeAll()) this.#fail(this.#ended(entry), error);
  }

  /** @param queueMs As a worker said. */
  #fail(entry: Entry, error: SpillwayError, queueMs?: number): void {
    this.#ports.statistics.failed(entry, this.#ports.clock.now(), queueMs);
    entry.settle.failed(error);
  }

  /** Whoever takes a request out answers it. */
  #take(seq: number): Entry | undefined {
    const entry = this.#pending.take(seq);
    return entry && this.#ended(entry);
  }

  #ended(entry: Entry): Entry {
    if (entry.admitted) this.#ports.admission.ended(entry.request.model);
    return entry;
  }

  /** Milliseconds until `expire()` has something to do. */
  dueInMs(): number {
    return this.#pending.dueInMs();
  }

  /** Answers DEADLINE_EXCEEDED to what is due, and sends again what was probably lost. @returns how many were answered. */
  expire(): number {
    const nowMs = this.#ports.clock.now();
    for (const { entry, item, route } of this.#again.take(nowMs, ({ seq }) => this.#pending.has(seq))) {
      entry.attempts += 1;
      this.#send(entry, { ...item, budgetMs: entry.deadlineMs - nowMs }, route);
    }
    const due = this.#pending.expired();
    for (const entry of due) {
      this.#ended(entry);
      if (entry.settle.ticket === undefined || entry.sentAtMs === 0) this.#fail(entry, expired(entry));
      else {
        this.#ports.cancelled(entry.seq);
        this.#toTicket(entry);
      }
    }
    return due.length;
  }

  /** A worker's answers. What is not pending any more was answered before: ignored. */
  onReply(frame: ReplyFrame): void {
    const nowMs = this.#ports.clock.now();
    for (const item of frame.items) {
      const entry = this.#take(item.seq);
      if (entry === undefined) continue;
      this.#ports.admission.answered(entry.request.model);
      if (item.errorCode === 'OVERLOADED' && entry.settle.ticket !== undefined) {
        this.#toTicket(entry);
        continue;
      }
      if (item.errorCode !== '') {
        this.#fail(entry, failureOf(item), item.queueMs);
        continue;
      }
      if (entry.cacheKey !== undefined && !entry.request.noStore && entry.degraded === '') {
        const { ttlMs = 0, staleMs = 0 } = entry.model.responseCache ?? {};
        this.#ports.cachePut({ key: entry.cacheKey, value: item.tensors, ttlMs, staleMs });
      }
      this.#ports.statistics.ran(entry, frame, item.queueMs, nowMs);
      entry.settle.answered(answerOf(entry, frame, item.tensors, item.queueMs));
    }
  }
}
