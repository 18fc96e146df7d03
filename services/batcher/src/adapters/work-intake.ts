import type { Bus } from '@spillway/bus/bus';
import type { PulledMessage } from '@spillway/bus/pull';
import { classRank } from '@spillway/contracts/classes';
import type { Clock } from '@spillway/lifecycle/clock';
import { crashPoint } from '@spillway/lifecycle/crash-point';
import type { Dispatcher } from '../core/dispatcher.ts';
import { handBack, takeStranded, takeStrandedJobs } from '../core/hand-back.ts';
import { ackWaitMs, pullWindows, type WindowLimits } from '../core/pull-windows.ts';
import type { BatcherTelemetry } from '../telemetry.ts';
import type { FrameReader, FrameSource } from './frame-reader.ts';
import { ModelSources } from './model-sources.ts';
import { QUEUE_FULL, refuseRequests, reissueJob, reissueMessage, reissueRequests } from './refusals.ts';

/** A worker that neither runs nor asks for a batch of a model for so long does not serve it here. */
const NOT_SERVED_AFTER_MS = 200;
/** From the first pulls of a model until the answers of all classes are here, so that what waited leaves highest class first. */
const SETTLE_MS = 15;
/** Longest wait for the consumers themselves: what is held already must not wait for a bus that is away. */
const SETTLE_AT_MOST_MS = 250;

type Open = { sources: ModelSources; servedAtMs: number; settled: boolean };

export type WorkIntakeOptions = {
  bus: Bus;
  clock: Clock;
  dispatcher: Dispatcher;
  reader: FrameReader;
  limits: WindowLimits;
  /** The catalogue has this model. */
  isModel: (model: string) => boolean;
  /** There is something to dispatch. */
  wake: (model: string) => void;
  telemetry: BatcherTelemetry;
};

/**
 * Pulls requests and jobs of the models that a connected worker takes batches of, just in time. What it holds of a model that
 * nobody serves here any more goes back to JetStream, where another batcher finds it.
 */
export class WorkIntake {
  readonly #options: WorkIntakeOptions;
  readonly #open = new Map<string, Open>();
  #stopped = false;

  constructor(options: WorkIntakeOptions) {
    this.#options = options;
  }

  /** Something changed for this model: a worker, a credit, a batch, the catalogue. Opens, closes or asks for more. */
  update(model: string): void {
    const { dispatcher, clock, limits, isModel, wake } = this.#options;
    if (this.#stopped) return;
    const queues = dispatcher.queues(model);
    const serving = dispatcher.credits.serving(model);
    let open = this.#open.get(model);
    if (open === undefined) {
      if (!serving || queues === undefined || !isModel(model)) return;
      open = this.#start(model);
    } else if (!dispatcher.credits.hasHome(model) || !isModel(model) || dispatcher.helpless(model, clock.now())) {
      this.#close(model, open);
      return;
    }
    if (!serving || queues === undefined) return;
    open.servedAtMs = clock.now();
    const { requests, jobs } = pullWindows(limits, dispatcher.credits.slotsOf(model), queues);
    open.sources.replenish(queues, requests, jobs);
    if (!open.settled && open.sources.ready) {
      open.settled = true;
      queues.pauseUntil(clock.now() + SETTLE_MS);
      wake(model); // the pause that was set when it opened is longer
    }
  }

  /**
   * Closes what has not been served for a while: its workers are connected and give their credits to another batcher. And gives away
   * what came back since a model was closed: from a worker that leaves, and cannot run it.
   */
  sweep(): void {
    const { bus, clock, dispatcher } = this.#options;
    for (const [model, open] of this.#open) {
      if (dispatcher.credits.serving(model)) open.servedAtMs = clock.now();
      else if (clock.now() - open.servedAtMs > NOT_SERVED_AFTER_MS) this.#close(model, open);
    }
    if (this.#stopped || !bus.up) return;
    for (const [model, { requests, jobs }] of dispatcher.models()) {
      const waits = !requests.empty || !jobs.empty;
      if (waits && !this.#open.has(model) && !dispatcher.credits.hasHome(model)) this.#giveAway(model);
    }
  }

  /** Tells the core in which classes nothing waits: no delivery says so. */
  observeEmpty(): void {
    const { clock, dispatcher } = this.#options;
    for (const [model, { sources }] of this.#open) {
      for (const rank of sources.emptyRanks()) dispatcher.observePending(model, rank, 0, clock.now());
    }
  }

  /** Pulls no more. What is held stays: the drain decides about it. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#open.values()].map(({ sources }) => sources.stop()));
    this.#open.clear();
  }

  #start(model: string): Open {
    const { bus, clock, dispatcher, telemetry, wake } = this.#options;
    const slots = dispatcher.credits.slotsOf(model);
    const maxRows = Math.max(...slots.map((slot) => slot.maxRows));
    const sources = new ModelSources({
      bus,
      clock,
      model,
      ackWaitMs: ackWaitMs(slots),
      maxRows,
      onMessage: (source, message) => this.#receive(source, message),
      onLate: (source, message) => {
        if (message.deliveries < source.maxDeliver) message.nak();
        else reissueMessage(bus, source, message).catch(() => undefined); // then it is found as one that is delivered no more
      },
      onIdle: () => wake(model),
      onPull: telemetry.pulled,
    });
    const open = { sources, servedAtMs: clock.now(), settled: false };
    this.#open.set(model, open);
    dispatcher.queues(model)?.pauseUntil(clock.now() + SETTLE_AT_MOST_MS);
    sources.start();
    telemetry.intake(model, 'opened', 0);
    return open;
  }

  #close(model: string, open: Open): void {
    this.#open.delete(model);
    void open.sources.stop(); // first: else what goes back would come straight here again
    this.#options.telemetry.intake(model, 'closed', this.#giveAway(model));
  }

  /** @returns how many frames went back to JetStream. */
  #giveAway(model: string): number {
    const { bus, dispatcher } = this.#options;
    const frames = handBack(dispatcher, model, 'all');
    if (dispatcher.credits.hasHome(model)) return frames; // the rest may yet run here
    reissueRequests(bus, takeStranded(dispatcher, model));
    if (!bus.up) return frames;
    for (const job of takeStrandedJobs(dispatcher, model)) reissueJob(bus, job).catch(() => undefined); // stuck: a gateway ends it
    return frames;
  }

  #receive(source: FrameSource, message: PulledMessage): number {
    const { bus, clock, dispatcher, reader, telemetry, wake } = this.#options;
    const { model, durable, trafficClass } = source;
    if (durable) crashPoint('batcher.after-pull');
    const read = reader.read(source, message);
    if (read === undefined) return 0;
    if (read.cancelled.length > 0) telemetry.dropped('cancelled', read.cancelled);
    if (read.expired.length > 0) telemetry.expired(read.expired); // their gateways' timers have answered them
    if (!durable) dispatcher.observePending(model, classRank(trafficClass), message.pending, clock.now());
    const refused = dispatcher.push(model, read.work);
    if (refused.length > 0) {
      telemetry.dropped('queue_full', refused);
      refuseRequests(bus, refused, QUEUE_FULL);
    }
    wake(model);
    return read.rows;
  }
}
