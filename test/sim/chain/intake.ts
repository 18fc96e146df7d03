import type { Dispatcher } from '@spillway/batcher/core/dispatcher';
import { handBack } from '@spillway/batcher/core/hand-back';
import { FrameSize, planPulls, type Window } from '@spillway/batcher/core/pull-plan';
import { pullWindows } from '@spillway/batcher/core/pull-windows';
import { unpackFrame, type Work } from '@spillway/batcher/core/work';
import { classRank } from '@spillway/contracts/classes';
import type { SimModel, World } from './spec.ts';
import type { Pulled, Puller, WorkStream } from './work-stream.ts';

type Source = { stream: WorkStream; rank: number; size: FrameSize; outstanding: number };

const BYTES_A_ROW = 100;
const WINDOW = { batches: 2, bytes: 8 * 1024 * 1024 };

/** How one batcher pulls one model: three classes of requests, three of jobs. */
export class Intake {
  readonly model: SimModel;
  /** Last time it was asked to dispatch, and when it wants to be asked again. */
  wokenAtMs = -1;
  retryAtMs = Number.POSITIVE_INFINITY;
  readonly #world: World;
  readonly #puller: Puller;
  readonly #dispatcher: Dispatcher;
  readonly #requests: readonly Source[];
  readonly #jobs: readonly Source[];

  constructor(world: World, puller: Puller, dispatcher: Dispatcher, model: SimModel, streams: readonly WorkStream[]) {
    this.#world = world;
    this.#puller = puller;
    this.#dispatcher = dispatcher;
    this.model = model;
    const sourcesOf = (durable: boolean): Source[] =>
      streams
        .filter((stream) => stream.model === model.name && stream.durable === durable)
        .map((stream) => ({
          stream,
          rank: classRank(stream.trafficClass),
          size: new FrameSize(durable ? 1 : model.maxRows / 8),
          outstanding: 0,
        }));
    this.#requests = sourcesOf(false);
    this.#jobs = sourcesOf(true);
  }

  setAckWait(ms: number): void {
    for (const { stream } of this.#requests) stream.setAckWait(ms);
  }

  /** @returns requests that a rule of the model refuses. */
  receive({ stream, message, frame, pending }: Pulled): Work[] {
    const rank = classRank(stream.trafficClass);
    const source = (stream.durable ? this.#jobs : this.#requests)[rank] as Source;
    const nowMs = this.#world.sim.now();
    source.outstanding = Math.max(0, source.outstanding - 1);
    const held = this.#dispatcher.frames.hold({
      message,
      gateway: frame.gateway,
      replyTo: frame.replyTo,
      durable: stream.durable,
      ackWaitMs: stream.ackWaitMs,
      maxDeliver: stream.maxDeliver,
      requests: frame.items.length,
    });
    const { model, trafficClass } = stream;
    const agedMs = stream.durable ? 0 : nowMs - frame.sentMs;
    const work = unpackFrame(frame, { frame: held, model, trafficClass, nowMs, agedMs });
    let rows = 0;
    for (const one of work) rows += one.rows;
    source.size.observe(rows, rows * BYTES_A_ROW);
    if (!stream.durable) this.#dispatcher.observePending(model, rank, pending, nowMs);
    return this.#dispatcher.push(model, work);
  }

  /** Asks for what has room; hands everything back when another batcher can do it and this one cannot. */
  replenish(): void {
    const { name } = this.model;
    const queues = this.#dispatcher.queues(name);
    if (queues === undefined || !this.#dispatcher.credits.serving(name)) return;
    if (this.#dispatcher.helpless(name, this.#world.sim.now())) {
      handBack(this.#dispatcher, name, 'all');
      return;
    }
    const windows = pullWindows(WINDOW, this.#dispatcher.credits.slotsOf(name), queues);
    this.#ask(this.#requests, windows.requests, (rank) => queues.requests.rowsOf(rank));
    if (windows.jobs.rows > 0) this.#ask(this.#jobs, windows.jobs, (rank) => queues.jobs.rowsOf(rank));
  }

  #ask(sources: readonly Source[], window: Window, heldRows: (rank: number) => number): void {
    const { sim, spec } = this.#world;
    const asked = planPulls(
      window,
      sources.map(({ rank, outstanding, size }) => ({ heldRows: heldRows(rank), outstanding, size })),
    );
    for (const [rank, messages] of asked.entries()) {
      const source = sources[rank] as Source;
      if (messages === 0) continue;
      source.outstanding += messages;
      sim.after(spec.hopMs, () => source.stream.pull(this.#puller, messages), undefined);
    }
  }
}
