import type { Bus } from '@spillway/bus/bus';
import { type PulledMessage, PullSource } from '@spillway/bus/pull';
import { CLASSES, type TrafficClass } from '@spillway/contracts/classes';
import { type ConsumerSpec, jobsConsumer, workConsumer } from '@spillway/contracts/streams';
import type { Clock } from '@spillway/lifecycle/clock';
import type { ModelQueues } from '../core/model-queues.ts';
import { FrameSize, planPulls, type Window } from '../core/pull-plan.ts';
import type { FrameSource } from './frame-reader.ts';

/** `quietSinceMs`: when something was last asked for or came. */
type Source = FrameSource & { rank: number; pull: PullSource; size: FrameSize; quietSinceMs: number };

/** A pull that the server did not answer within this waits at an empty stream. */
const EMPTY_AFTER_MS = 20;

export type ModelSourcesOptions = {
  bus: Bus;
  clock: Clock;
  model: string;
  ackWaitMs: number;
  /** Rows of the largest batch: for a first guess of what a message brings. */
  maxRows: number;
  /** @returns the rows that came, 0 for what was no frame. */
  onMessage: (source: FrameSource, message: PulledMessage) => number;
  /** It was on its way when the sources were stopped. */
  onLate: (source: FrameSource, message: PulledMessage) => void;
  /** A consumer has become ready, or a pull ended: ask again. */
  onIdle: () => void;
  onPull: (source: FrameSource, messages: number) => void;
};

/** The pulls of one model: three classes of requests, three of jobs. */
export class ModelSources {
  readonly #options: ModelSourcesOptions;
  readonly #requests: Source[];
  readonly #jobs: Source[];

  constructor(options: ModelSourcesOptions) {
    const { model, ackWaitMs } = options;
    this.#options = options;
    this.#requests = CLASSES.map((c, rank) => this.#source(workConsumer(c, model, ackWaitMs), c, rank, false));
    this.#jobs = CLASSES.map((c, rank) => this.#source(jobsConsumer(c, model, ackWaitMs), c, rank, true));
  }

  start(): void {
    for (const { pull } of [...this.#requests, ...this.#jobs]) pull.start();
  }

  /** The pulls of requests can be answered. */
  get ready(): boolean {
    return this.#requests.every(({ pull }) => pull.ready);
  }

  /** Asks for what has room. O(classes); sends nothing while enough is on its way. */
  replenish(queues: ModelQueues, requests: Window, jobs: Window): void {
    this.#ask(this.#requests, requests, (rank) => queues.requests.rowsOf(rank));
    if (jobs.rows > 0) this.#ask(this.#jobs, jobs, (rank) => queues.jobs.rowsOf(rank));
  }

  /** Ranks of the classes in which no request waits: the server would have answered. */
  emptyRanks(): number[] {
    const untilMs = this.#options.clock.now() - EMPTY_AFTER_MS;
    return this.#requests
      .filter(({ pull, quietSinceMs }) => pull.outstanding > 0 && quietSinceMs <= untilMs)
      .map(({ rank }) => rank);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#requests, ...this.#jobs].map(({ pull }) => pull.stop()));
  }

  #ask(sources: readonly Source[], window: Window, heldRows: (rank: number) => number): void {
    const messages = planPulls(
      window,
      sources.map(({ pull, size }, rank) => ({ heldRows: heldRows(rank), outstanding: pull.outstanding, size })),
    );
    for (const [rank, count] of messages.entries()) {
      const source = sources[rank];
      if (count === 0 || source === undefined || !source.pull.ready) continue;
      source.quietSinceMs = this.#options.clock.now();
      source.pull.request(count);
      this.#options.onPull(source, count);
    }
  }

  #source(spec: ConsumerSpec, trafficClass: TrafficClass, rank: number, durable: boolean): Source {
    const { bus, clock, model, maxRows, onIdle, onMessage, onLate } = this.#options;
    const receive = (message: PulledMessage) => {
      source.quietSinceMs = clock.now();
      const rows = onMessage(source, message);
      if (rows > 0) source.size.observe(rows, message.payload.length);
    };
    const source: Source = {
      model,
      trafficClass,
      rank,
      durable,
      quietSinceMs: clock.now(),
      ackWaitMs: spec.ackWaitMs,
      maxDeliver: spec.maxDeliver,
      size: new FrameSize(durable ? 1 : maxRows / 8),
      pull: new PullSource(bus, spec, receive, onIdle, (message) => onLate(source, message)),
    };
    return source;
  }
}
