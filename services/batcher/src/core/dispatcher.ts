import { CLASSES } from '@spillway/contracts/classes';
import type { BatchDone, BatcherLoad, Hello, LoadState } from '@spillway/contracts/messages';
import type { Clock } from '@spillway/lifecycle/clock';
import { Credits } from './credits.ts';
import { HeldFrames } from './frames.ts';
import { type Dispatch, InFlightBatches } from './in-flight.ts';
import { learnFrom } from './learn-from.ts';
import { type Mechanism, ModelQueues } from './model-queues.ts';
import type { BatchRules } from './model-rules.ts';
import { type Ended, type Returned, Returns, type Ticked } from './returns.ts';
import { findSuspects, withdraw } from './suspects.ts';
import type { Work } from './work.ts';

export type { Dispatch } from './in-flight.ts';

/** How often `tick` is to be called. */
export const TICK_MS = 10;
/** After a stall of this process what instances said in the meantime must be read before one is taken for silent. */
const STALLED_MS = 3 * TICK_MS;

export type DispatcherOptions = {
  clock: Clock;
  newBatchId: () => string;
  /** Share of a model's rows that durable jobs get even under full load. */
  jobsShare: number;
  /** Share of a model's rows that the class bulk gets even under full load. Absent: 3 %. */
  bulkShare?: number;
  /** Mechanisms to do without. */
  off?: readonly Mechanism[];
};

/** `retryInMs`: nothing left, but something may later (Infinity: only an event changes that). */
export type Step = { dispatch: Dispatch | undefined; expired: Work[]; retryInMs: number };

/**
 * Which requests go to which worker, and when: queues, credits, frames and batches in flight of all models. Pure: the shell asks
 * `next` until nothing leaves and sends what it gets.
 */
export class Dispatcher {
  readonly credits: Credits;
  readonly frames: HeldFrames;
  readonly inFlight = new InFlightBatches();
  draining = false;
  readonly #options: DispatcherOptions;
  readonly #models = new Map<string, ModelQueues>();
  readonly #returns: Returns;
  #tickedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.credits = new Credits(options.clock);
    this.frames = new HeldFrames(options.clock);
    this.#returns = new Returns(this.frames, (work) => this.#models.get(work.model)?.queueOf(work).push(work));
  }

  /** A model becomes known, or its rules change. */
  setModel(model: string, rules: BatchRules): void {
    const known = this.#models.get(model);
    if (known !== undefined) known.setRules(rules);
    else {
      const { clock, jobsShare, bulkShare = 0.03, off = [] } = this.#options;
      this.#models.set(model, new ModelQueues(clock, rules, { jobsShare, bulkShare, off }));
    }
  }

  queues(model: string): ModelQueues | undefined {
    return this.#models.get(model);
  }

  models(): Iterable<[string, ModelQueues]> {
    return this.#models;
  }

  /** Requests of one frame. @returns Those that the queue policy does not let wait. @throws Error for a model that nobody has set. */
  push(model: string, work: readonly Work[]): Work[] {
    const queues = this.#models.get(model);
    if (queues === undefined) throw new Error(`bug: requests for the unknown model ${model}`);
    const refused: Work[] = [];
    const [first] = work;
    if (first === undefined) return refused;
    const queue = queues.queueOf(first);
    let rows = 0;
    let cost = 0;
    for (const one of work) {
      if (!queue.push(one)) refused.push(one);
      rows += one.rows;
      cost += one.cost;
    }
    if (!first.frame.durable) {
      queues.meter.came(first.rank, rows, cost, first.enqueuedAtMs);
      if (first.rank === 1) queues.capacity.observeDeadline(first.deadlineMs - first.sinceMs);
    }
    this.drop(refused);
    return refused;
  }

  /** @returns Models that the worker served and does no more. */
  join(worker: string, hello: Hello): string[] {
    return this.credits.greet(worker, hello.models);
  }

  /** The next batch of this model that may leave. To be sent at once: its frames are acknowledged with it. */
  next(model: string): Step {
    const expired: Work[] = [];
    const queues = this.#models.get(model);
    if (queues === undefined) return { dispatch: undefined, expired, retryInMs: Number.POSITIVE_INFINITY };
    if (queues.pausedForMs > 0) return { dispatch: undefined, expired, retryInMs: queues.pausedForMs };
    const nowMs = this.#options.clock.now();
    let retryInMs = Number.POSITIVE_INFINITY;
    for (const free of this.credits.free(model)) {
      const stageInMs = this.draining ? 0 : queues.stageInMs(free.instance, free.startInMs);
      if (stageInMs > 0) {
        retryInMs = Math.min(retryInMs, stageInMs);
        continue;
      }
      if (free.startInMs >= 1 && !free.instance.slot.isNext(this.#waits)) {
        retryInMs = Math.min(retryInMs, free.startInMs);
        continue;
      }
      const taken = queues.take(free.instance, this.credits, free.startInMs, this.draining);
      if ('inMs' in taken) {
        retryInMs = Math.min(retryInMs, taken.inMs);
        continue;
      }
      for (const work of taken.expired) expired.push(work);
      this.drop(taken.expired);
      if (taken.batch.length === 0) continue;
      const dispatch = queues.toDispatch(free.instance, taken, this.#options.newBatchId());
      return { dispatch: this.#send(dispatch), expired, retryInMs };
    }
    if (!queues.requests.empty && queues.mayLook(nowMs)) expired.push(...this.#expire(model, queues, nowMs));
    return { dispatch: undefined, expired, retryInMs };
  }

  /** Undefined: a batch that this worker does not have. */
  done(worker: string, done: BatchDone): Ended | undefined {
    const dispatch = this.inFlight.take(worker, done.batchId);
    if (dispatch === undefined) return undefined;
    const nowMs = this.#options.clock.now();
    const ended: Ended = { dispatch, lateRows: 0, ...this.#returns.none() };
    learnFrom(dispatch, done, this.#models.get(dispatch.model)?.capacity, nowMs);
    if (done.notStarted) this.#returns.putBack(dispatch, ended, 'returns', nowMs);
    else if (done.lost) this.#returns.putBack(dispatch, ended, 'losses', nowMs, dispatch.work.length > 1);
    else {
      const endedMs = nowMs - dispatch.slot.hop.ms / 2;
      for (const { rows, deadlineMs, frame } of dispatch.work) {
        if (deadlineMs < endedMs) ended.lateRows += rows;
        if (frame.durable) this.frames.leave(frame);
      }
      if (dispatch.withdrawn) this.#forgetCopies(dispatch);
    }
    return ended;
  }

  /** The worker's stream is gone: what it had may or may not have run. A second answer is ignored by its gateway. */
  lost(worker: string): Returned & { models: string[] } {
    const lost = { models: this.credits.leave(worker), ...this.#returns.none() };
    const nowMs = this.#options.clock.now();
    for (const dispatch of this.inFlight.takeAllOf(worker)) this.#returns.putBack(dispatch, lost, 'losses', nowMs);
    return lost;
  }

  /** To be called every `TICK_MS`. */
  tick(nowMs: number): Ticked {
    const ticked: Ticked = { expired: [], suspects: [], withdrawn: this.#returns.none(), models: [] };
    const stalled = nowMs - this.#tickedAtMs > STALLED_MS;
    this.#tickedAtMs = nowMs;
    for (const [model, queues] of this.#models) {
      const slots = this.credits.slotsOf(model);
      const opened = queues.tick(slots, nowMs);
      const expired = this.#expire(model, queues, nowMs);
      for (const work of expired) ticked.expired.push(work);
      const suspects = stalled ? [] : findSuspects(this.credits, model, queues.capacity.operatingRows, nowMs);
      for (const instance of suspects) {
        ticked.suspects.push(instance);
        withdraw(instance, this.inFlight, this.#returns, ticked.withdrawn, nowMs);
      }
      if (suspects.length > 0) queues.capacity.measure(slots, queues.rules, nowMs);
      if (opened || suspects.length + expired.length > 0) ticked.models.push(model);
    }
    return ticked;
  }

  /** What this batcher says of a model, to gateways and other batchers. */
  loadOf(model: string, nowMs: number): BatcherLoad {
    const queues = this.#models.get(model);
    if (queues === undefined) throw new Error(`bug: load of the unknown model ${model}`);
    return queues.load(this.credits.slotsOf(model), nowMs);
  }

  /** A gateway said what it admits and refuses, or another batcher what it can do. */
  onGatewayLoad(model: string, state: LoadState, nowMs: number): void {
    this.#models.get(model)?.mesh.hear(state, nowMs);
  }

  /** Frames that wait in the stream, as the delivery of the last one said. */
  observePending(model: string, rank: number, frames: number, nowMs: number): void {
    this.#models.get(model)?.meter.observePending(rank, frames, nowMs);
  }

  /** Workers that have an instance which is silent for too long, or is being replaced. */
  suspects(model: string): string[] {
    const slots = this.credits.slotsOf(model);
    return slots.filter(({ instances }) => instances.some(({ suspect }) => suspect)).map(({ worker }) => worker);
  }

  /** No instance here can run what waits, and another batcher has some that can. */
  helpless(model: string, nowMs: number): boolean {
    const slots = this.credits.slotsOf(model);
    if (slots.length === 0 || slots.some((slot) => slot.healthy)) return false;
    return (this.#models.get(model)?.mesh.capacityElsewhere(nowMs) ?? 0) > 0;
  }

  /** Requests that are not to run: their frame does not wait for them. */
  drop(work: readonly Work[]): void {
    for (const one of work) this.#settle(one);
  }

  /** Removes the waiting ones of these requests. */
  cancel(gateway: string, seqs: readonly number[]): Work[] {
    const wanted = new Set(seqs);
    const removed: Work[] = [];
    for (const queues of this.#models.values()) {
      removed.push(...queues.requests.remove(({ frame, item }) => frame.gateway === gateway && wanted.has(item.seq)));
    }
    this.drop(removed);
    return removed;
  }

  /**
   * Gives frames back to JetStream, to be pulled where they can run. `untouched`: only those of which nothing was dispatched yet.
   * What is on its last delivery, or has been acknowledged, stays. @returns how many frames went back.
   */
  handBack(model: string, which: 'all' | 'untouched'): number {
    const goesBack = ({ frame }: Work): boolean =>
      frame.held && !frame.lastDelivery && (which === 'all' || frame.waiting === frame.requests);
    const gone = this.#models.get(model)?.remove(goesBack) ?? [];
    const frames = new Set(gone.map(({ frame }) => frame));
    for (const frame of frames) this.frames.handBack(frame);
    return frames.size;
  }

  /** When the last worker is lost: takes out the requests whose frame is acknowledged. They need a new message. */
  takeStranded(model: string): Work[] {
    if (this.credits.slotsOf(model).length > 0) return [];
    return this.#models.get(model)?.requests.remove(({ frame }) => !frame.held) ?? [];
  }

  /** Takes out the jobs that `handBack` had to leave: they are on their last delivery and need a new message. */
  takeStrandedJobs(model: string): Work[] {
    const jobs = this.#models.get(model)?.jobs.remove(({ frame }) => frame.lastDelivery) ?? [];
    for (const { frame } of jobs) this.frames.leave(frame);
    return jobs;
  }

  /**
   * The bus is away: what waits here synchronously was failed by its gateway, or will be delivered again. (After a restart of the
   * server an acknowledgement would hit another message: a memory stream counts from the beginning.) Jobs stay, and requests that
   * are acknowledged and wait to run again.
   */
  forgetRequests(): Work[] {
    const forgotten: Work[] = [];
    for (const queues of this.#models.values()) {
      forgotten.push(...queues.requests.remove(({ frame }) => frame.held));
      for (const rank of CLASSES.keys()) queues.meter.observePending(rank, 0, this.#options.clock.now());
    }
    for (const frame of this.frames.all()) if (!frame.durable) this.frames.leave(frame);
    return forgotten;
  }

  readonly #waits = (model: string): boolean => this.#models.get(model)?.requests.empty === false;

  #expire(model: string, queues: ModelQueues, nowMs: number): Work[] {
    const expired = queues.expire(this.credits.soonest(model), nowMs);
    this.drop(expired);
    return expired;
  }

  #send(dispatch: Dispatch): Dispatch {
    const { instance, slot, predictedMs, sentAtMs, work } = dispatch;
    slot.free -= 1;
    slot.turns.sent(slot, predictedMs);
    instance.sent(predictedMs, sentAtMs);
    this.inFlight.add(dispatch);
    for (const one of work) this.#settle(one);
    return dispatch;
  }

  /** It was only slow: its requests are answered, and wait here for a second run that nobody needs. */
  #forgetCopies({ model, work }: Dispatch): void {
    const answered = new Set(work);
    this.#models.get(model)?.requests.remove((one) => answered.has(one));
  }

  #settle(work: Work): void {
    if (work.settled) return;
    work.settled = true;
    this.frames.settled(work.frame);
  }
}
