import { type Dispatch, Dispatcher, TICK_MS } from '@spillway/batcher/core/dispatcher';
import { rulesOf } from '@spillway/batcher/core/model-rules';
import { FrameSize, planPulls, type Window } from '@spillway/batcher/core/pull-plan';
import { ackWaitMs, pullWindows } from '@spillway/batcher/core/pull-windows';
import { unpackFrame, type Work } from '@spillway/batcher/core/work';
import { classRank } from '@spillway/contracts/classes';
import type { Hello, LoadState, WorkItem } from '@spillway/contracts/messages';
import { type Attempt, refuse } from './attempt.ts';
import { recordOf, type SimModel, type World } from './spec.ts';
import type { Pulled, Puller, WorkStream } from './work-stream.ts';
import type { DoneBatch, Home, SentBatch, WorkerNode } from './worker-node.ts';

/** An item that remembers whose it is, in place of the gateway's list of pending requests. */
export type SimItem = WorkItem & { attempt: Attempt };

type Source = { stream: WorkStream; rank: number; size: FrameSize; outstanding: number };
type Intake = { model: SimModel; sources: Source[]; jobs: Source[]; wokenAtMs: number; retryAtMs: number };

const REPLY_MARGIN_MS = 2;
const BYTES_A_ROW = 100;
const WINDOW = { batches: 2, bytes: 8 * 1024 * 1024 };

/** A batcher: the product's dispatcher between streams and workers, with a shell as thin as the real one. */
export class BatcherNode implements Home, Puller {
  readonly name: string;
  readonly #world: World;
  readonly #streams: readonly WorkStream[];
  #dispatcher: Dispatcher;
  #intakes = new Map<string, Intake>();
  readonly #workers = new Map<string, WorkerNode>();
  #batches = 0;
  #life = 1;
  #alive = true;
  #stopped = false;
  #missed: (() => void)[] = [];

  constructor(world: World, name: string, streams: readonly WorkStream[]) {
    this.#world = world;
    this.name = name;
    this.#streams = streams;
    this.#dispatcher = this.#start();
    world.sim.every(TICK_MS, TICK_MS, () => this.#whenRunning(() => this.#tick()));
  }

  get alive(): boolean {
    return this.#alive;
  }

  get epoch(): number {
    return this.#life;
  }

  get dispatcher(): Dispatcher {
    return this.#dispatcher;
  }

  readonly join = (worker: WorkerNode, stream: string, hello: Hello): void =>
    this.#whenRunning(() => {
      this.#workers.set(stream, worker);
      this.#dispatcher.join(stream, hello);
      for (const { model } of hello.models) {
        for (const { stream: work } of this.#intake(model).sources) {
          work.setAckWait(ackWaitMs(this.#dispatcher.credits.slotsOf(model)));
        }
      }
    });

  grant(stream: string, model: string, batches: number): void {
    this.#whenRunning(() => {
      if (this.#dispatcher.credits.grant(stream, model, batches)) this.#wake(model);
    });
  }

  done(stream: string, batch: DoneBatch): void {
    this.#whenRunning(() => {
      const ended = this.#dispatcher.done(stream, { ...batch, errorCode: '', notStarted: false });
      if (ended !== undefined) this.#refuse(ended.expired);
      this.#wake(batch.model);
    });
  }

  goodbye(stream: string): void {
    this.#whenRunning(() => {
      for (const model of this.#dispatcher.credits.stop(stream)) this.#wake(model);
    });
  }

  lost(stream: string): void {
    this.#whenRunning(() => {
      const { models, expired, abandoned } = this.#dispatcher.lost(stream);
      this.#workers.delete(stream);
      this.#refuse(expired);
      this.#refuse(abandoned);
      for (const model of models) this.#wake(model);
    });
  }

  deliver({ stream, message, frame, pending }: Pulled): void {
    this.#whenRunning(() => {
      const intake = this.#intake(stream.model);
      const rank = classRank(stream.trafficClass);
      const source = (stream.durable ? intake.jobs : intake.sources)[rank] as Source;
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
      const work = unpackFrame(frame, {
        frame: held,
        model,
        trafficClass,
        nowMs,
        agedMs: stream.durable ? 0 : nowMs - frame.sentMs,
      });
      let rows = 0;
      for (const one of work) rows += one.rows;
      source.size.observe(rows, rows * BYTES_A_ROW);
      if (!stream.durable) this.#dispatcher.observePending(model, rank, pending, nowMs);
      this.#refuse(this.#dispatcher.push(model, work), 'queue_bound');
      this.#wake(model);
    });
  }

  onLoad(model: string, state: LoadState): void {
    if (state.instance !== this.name)
      this.#whenRunning(() => this.#dispatcher.onGatewayLoad(model, state, this.#world.sim.now()));
  }

  /** Undefined: it says nothing, for it is gone or stands still. */
  load(model: string) {
    return this.#alive && !this.#stopped ? this.#dispatcher.loadOf(model, this.#world.sim.now()) : undefined;
  }

  kill(): void {
    this.#alive = false;
    for (const stream of this.#streams) stream.forget(this);
    this.#workers.clear();
    this.#missed = [];
  }

  restart(): void {
    this.#life += 1;
    this.#alive = true;
    this.#dispatcher = this.#start();
  }

  stop(): void {
    this.#stopped = true;
  }

  resume(): void {
    this.#stopped = false;
    const missed = this.#missed;
    this.#missed = [];
    for (const handle of missed) handle();
  }

  /** A stopped process finds what came meanwhile in its sockets; a dead one has none. */
  #whenRunning(handle: () => void): undefined {
    if (!this.#alive) return undefined;
    if (this.#stopped) this.#missed.push(handle);
    else handle();
    return undefined;
  }

  #start(): Dispatcher {
    const { sim, spec } = this.#world;
    const { off } = spec;
    this.#intakes = new Map();
    const dispatcher = new Dispatcher({
      clock: sim,
      newBatchId: () => {
        this.#batches += 1;
        return `${this.name}.${this.#batches}`;
      },
      jobsShare: 0.02,
      off: OFF.filter(([mechanism]) => off.has(mechanism)).map(([, name]) => name),
    });
    for (const model of spec.models)
      dispatcher.setModel(model.name, rulesOf(recordOf(model), { replyMarginMs: REPLY_MARGIN_MS }));
    return dispatcher;
  }

  #intake(model: string): Intake {
    let intake = this.#intakes.get(model);
    if (intake === undefined) {
      const sourcesOf = (durable: boolean): Source[] =>
        this.#streams
          .filter((stream) => stream.model === model && stream.durable === durable)
          .map((stream) => ({
            stream,
            rank: classRank(stream.trafficClass),
            size: new FrameSize(durable ? 1 : this.#maxRows(model) / 8),
            outstanding: 0,
          }));
      const spec = this.#world.spec.models.find(({ name }) => name === model) as SimModel;
      intake = {
        model: spec,
        sources: sourcesOf(false),
        jobs: sourcesOf(true),
        wokenAtMs: -1,
        retryAtMs: Number.POSITIVE_INFINITY,
      };
      this.#intakes.set(model, intake);
    }
    return intake;
  }

  #maxRows(model: string): number {
    return Math.max(1, ...this.#dispatcher.credits.slotsOf(model).map(({ maxRows }) => maxRows));
  }

  #wake(model: string): void {
    const { sim } = this.#world;
    const intake = this.#intake(model);
    if (intake.wokenAtMs === sim.now()) return; // once a turn
    intake.wokenAtMs = sim.now();
    sim.after(0, this.#dispatch, intake);
  }

  readonly #dispatch = (intake: Intake): void => {
    intake.wokenAtMs = -1;
    if (this.#alive && !this.#stopped && this.#intakes.get(intake.model.name) === intake) this.#send(intake);
  };

  #send(intake: Intake): void {
    const { sim } = this.#world;
    const model = intake.model.name;
    for (;;) {
      const { dispatch, expired, retryInMs } = this.#dispatcher.next(model);
      if (expired.length > 0) this.#refuse(expired);
      if (dispatch === undefined) {
        this.#retry(intake, sim.now() + retryInMs);
        break;
      }
      this.#sendBatch(intake.model, dispatch);
    }
    this.#replenish(intake);
  }

  #retry(intake: Intake, atMs: number): void {
    intake.retryAtMs = atMs;
    if (atMs === Number.POSITIVE_INFINITY) return;
    this.#world.sim.at(
      atMs,
      (due: Intake) => {
        if (due.retryAtMs === atMs) this.#dispatch(due);
      },
      intake,
    );
  }

  #sendBatch(model: SimModel, { slot, batchId, work, rows }: Dispatch): void {
    const { sim, spec } = this.#world;
    const worker = this.#workers.get(slot.worker);
    if (worker === undefined) return;
    const [first] = work as [Work];
    const nowMs = sim.now();
    const batch: SentBatch = {
      batchId,
      from: this,
      stream: slot.worker,
      model,
      variant: first.route.variant,
      rank: first.rank,
      attempts: work.map(({ item }) => (item as SimItem).attempt),
      rows,
      budgetsMs: work.map(({ deadlineMs }) => Math.max(0, deadlineMs - nowMs)), // a job has no end
      arrivedAtMs: 0,
      ended: (batch, runMs) => {
        for (const { frame } of work) if (frame.durable) frame.message.ack(); // its result is stored
        worker.ended(batch, runMs);
      },
    };
    sim.after(spec.hopMs, (sent: SentBatch) => worker.accept(sent), batch);
  }

  #replenish({ model, sources, jobs }: Intake): void {
    const queues = this.#dispatcher.queues(model.name);
    if (queues === undefined || !this.#dispatcher.credits.serving(model.name)) return;
    if (this.#dispatcher.helpless(model.name, this.#world.sim.now())) {
      this.#dispatcher.handBack(model.name, 'all');
      return;
    }
    const windows = pullWindows(WINDOW, this.#dispatcher.credits.slotsOf(model.name), queues);
    this.#ask(sources, windows.requests, (rank) => queues.requests.rowsOf(rank));
    if (windows.jobs.rows > 0) this.#ask(jobs, windows.jobs, (rank) => queues.jobs.rowsOf(rank));
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
      sim.after(spec.hopMs, () => source.stream.pull(this, messages), undefined);
    }
  }

  #tick(): void {
    const { expired, withdrawn, models } = this.#dispatcher.tick(this.#world.sim.now());
    this.#refuse(expired);
    this.#refuse(withdrawn.expired);
    this.#refuse(withdrawn.abandoned);
    this.#dispatcher.frames.extend();
    for (const model of models) this.#wake(model);
  }

  /** What was dropped is told so at once; what is past its deadline has heard of it from its gateway. */
  #refuse(work: readonly Work[], reason = 'expired'): void {
    const { sim, spec } = this.#world;
    for (const { item, deadlineMs } of work) {
      if (deadlineMs <= sim.now()) continue;
      sim.after(2 * spec.hopMs, (attempt: Attempt) => refuse(attempt, reason, 0), (item as SimItem).attempt);
    }
  }
}

const OFF = [
  ['expired', 'expired'],
  ['staging', 'late_staging'],
  ['floor', 'floor'],
  ['gamma', 'gamma'],
] as const;
