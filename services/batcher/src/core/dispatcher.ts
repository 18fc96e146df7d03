import type { BatchDone, Hello } from '@spillway/contracts/messages';
import type { Clock } from '@spillway/lifecycle/clock';
import type { BatchRules } from './batch-queue.ts';
import { Credits } from './credits.ts';
import { HeldFrames } from './frames.ts';
import { type Dispatch, InFlightBatches } from './in-flight.ts';
import { ModelQueues } from './model-queues.ts';
import type { Work } from './work.ts';

export type { Dispatch } from './in-flight.ts';

/** A request runs at most this often: one that ends its worker each time must not end all of them. */
const MOST_LOSSES = 2;
/** A batch that was given back has harmed nobody; it goes elsewhere more often. */
const MOST_RETURNS = 4;
/** Until a job whose worker was lost is delivered again: at once would be to this batcher, before it knows who is left to run it. */
const JOB_RETRY_MS = 500;

export type DispatcherOptions = {
  clock: Clock;
  newBatchId: () => string;
  /** Share of a model's rows that durable jobs get even under full load. */
  jobsShare: number;
};

/** `retryInMs`: nothing left, but something may later (Infinity: only an event changes that). */
export type Step = { dispatch: Dispatch | undefined; expired: Work[]; retryInMs: number };

/**
 * What became of batches that did not run to their end. `requeued` wait here again, at the head of their class; `expired` are
 * past their deadline; `abandoned` requests and `deadJobs` have used up their chances: somebody must say so.
 */
export type Returned = { requeued: Work[]; expired: Work[]; abandoned: Work[]; deadJobs: Work[] };

/** A worker ended a batch. */
export type Ended = Returned & { dispatch: Dispatch };

const nothing = (): Returned => ({ requeued: [], expired: [], abandoned: [], deadJobs: [] });

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

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.credits = new Credits(options.clock);
    this.frames = new HeldFrames(options.clock);
  }

  /** A model becomes known, or its rules change. */
  setModel(model: string, rules: BatchRules): void {
    const known = this.#models.get(model);
    if (known !== undefined) known.setRules(rules);
    else this.#models.set(model, new ModelQueues(this.#options.clock, rules, this.#options.jobsShare));
  }

  queues(model: string): ModelQueues | undefined {
    return this.#models.get(model);
  }

  models(): Iterable<[string, ModelQueues]> {
    return this.#models;
  }

  /** @throws Error for a model that `setModel` has not named: nothing is pulled for it. */
  push(model: string, work: readonly Work[]): void {
    const queues = this.#models.get(model);
    if (queues === undefined) throw new Error(`bug: requests for the unknown model ${model}`);
    for (const one of work) queues.queueOf(one).push(one);
  }

  join(worker: string, hello: Hello): void {
    for (const served of hello.models) this.credits.join(worker, served);
  }

  /** The next batch of this model that may leave. To be sent at once: its frames are acknowledged with it. */
  next(model: string): Step {
    const expired: Work[] = [];
    const queues = this.#models.get(model);
    if (queues === undefined) return { dispatch: undefined, expired, retryInMs: Number.POSITIVE_INFINITY };
    if (queues.pausedForMs > 0) return { dispatch: undefined, expired, retryInMs: queues.pausedForMs };
    let retryInMs = Number.POSITIVE_INFINITY;
    for (const slot of this.credits.free(model)) {
      const taken = queues.take(slot, this.credits, this.draining);
      if ('inMs' in taken) {
        retryInMs = Math.min(retryInMs, taken.inMs);
        continue;
      }
      for (const work of taken.expired) expired.push(work);
      this.drop(taken.expired);
      if (taken.batch.length === 0) continue;
      const predictedMs = slot.cost.predictMs(taken.rows);
      const dispatch: Dispatch = {
        batchId: this.#options.newBatchId(),
        model,
        slot,
        work: taken.batch,
        rows: taken.rows,
        closedBy: taken.closedBy,
        sentAtMs: this.#options.clock.now(),
        predictedMs,
        traceparent: '',
      };
      this.credits.sent(slot, predictedMs);
      this.inFlight.add(dispatch);
      for (const work of taken.batch) this.#settle(work);
      return { dispatch, expired, retryInMs };
    }
    return { dispatch: undefined, expired, retryInMs };
  }

  /** Undefined: a batch that this worker does not have. */
  done(worker: string, done: BatchDone): Ended | undefined {
    const dispatch = this.inFlight.take(worker, done.batchId);
    if (dispatch === undefined) return undefined;
    this.credits.ended(dispatch.slot, dispatch.predictedMs);
    const ended: Ended = { dispatch, ...nothing() };
    if (done.notStarted) this.#putBack(dispatch, ended, 'returns');
    else {
      if (done.errorCode === '') dispatch.slot.cost.observe(dispatch.rows, done.runMs);
      for (const { frame } of dispatch.work) if (frame.durable) this.frames.leave(frame);
    }
    return ended;
  }

  /** The worker's stream is gone: what it had may or may not have run. A second answer is ignored by its gateway. */
  lost(worker: string): Returned & { models: string[] } {
    const lost = { models: this.credits.leave(worker), ...nothing() };
    for (const dispatch of this.inFlight.takeAllOf(worker)) this.#putBack(dispatch, lost, 'losses');
    return lost;
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
   * Gives frames of this model back to JetStream, to be pulled where they can run. `untouched`: only those of which nothing was
   * dispatched yet. What is on its last delivery, or has been acknowledged, stays.
   * @returns how many frames went back.
   */
  handBack(model: string, which: 'all' | 'untouched'): number {
    const queues = this.#models.get(model);
    if (queues === undefined) return 0;
    const goesBack = ({ frame }: Work): boolean =>
      frame.held && !frame.lastDelivery && (which === 'all' || frame.waiting === frame.requests);
    const frames = new Set(queues.remove(goesBack).map((work) => work.frame));
    for (const frame of frames) this.frames.handBack(frame);
    return frames.size;
  }

  /** Takes out the jobs that `handBack` had to leave: they are on their last delivery and need a new message. */
  takeStrandedJobs(model: string): Work[] {
    const jobs = this.#models.get(model)?.jobs.remove(({ frame }) => frame.lastDelivery) ?? [];
    for (const { frame } of jobs) this.frames.leave(frame);
    return jobs;
  }

  /**
   * The bus is away: whatever waits here synchronously has been failed by its gateway, or will be delivered again. (After a restart
   * of the server an acknowledgement would even hit another message: a memory stream counts from the beginning.) Jobs stay, and so
   * do requests that are acknowledged and wait for their second run.
   */
  forgetRequests(): Work[] {
    const forgotten: Work[] = [];
    for (const queues of this.#models.values()) forgotten.push(...queues.requests.remove(({ frame }) => frame.held));
    for (const frame of this.frames.all()) if (!frame.durable) this.frames.leave(frame);
    return forgotten;
  }

  #putBack(dispatch: Dispatch, into: Returned, count: 'losses' | 'returns'): void {
    const nowMs = this.#options.clock.now();
    const limit = count === 'losses' ? MOST_LOSSES : MOST_RETURNS;
    for (const work of dispatch.work) {
      work[count] += 1;
      if (work.frame.durable && (count === 'losses' || work[count] >= limit)) this.#putBackJob(work, into);
      else if (work.frame.handedBack)
        continue; // it comes again with the rest of its frame
      else if (work.deadlineMs <= nowMs) into.expired.push(work);
      else if (work[count] >= limit) into.abandoned.push(work);
      else {
        work.orderMs = Number.NEGATIVE_INFINITY;
        this.#models.get(dispatch.model)?.queueOf(work).push(work);
        into.requeued.push(work);
      }
    }
  }

  /** JetStream counts the deliveries of a job, over all batchers. */
  #putBackJob(work: Work, into: Returned): void {
    if (!work.frame.lastDelivery) this.frames.handBack(work.frame, JOB_RETRY_MS);
    else {
      this.frames.leave(work.frame);
      into.deadJobs.push(work);
    }
  }

  #settle(work: Work): void {
    if (work.settled) return;
    work.settled = true;
    this.frames.settled(work.frame);
  }
}
