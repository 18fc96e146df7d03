import { type Dispatch, Dispatcher, TICK_MS } from '@spillway/batcher/core/dispatcher';
import { rulesOf } from '@spillway/batcher/core/model-rules';
import { ackWaitMs } from '@spillway/batcher/core/pull-windows';
import type { Work } from '@spillway/batcher/core/work';
import type { Hello, LoadState, WorkItem } from '@spillway/contracts/messages';
import { type Attempt, refuse } from './attempt.ts';
import { Intake } from './intake.ts';
import { recordOf, type SimModel, type World } from './spec.ts';
import type { Pulled, Puller, WorkStream } from './work-stream.ts';
import type { DoneBatch, Home, SentBatch, WorkerNode } from './worker-node.ts';

/** An item that remembers whose it is, in place of the gateway's list of pending requests. */
export type SimItem = WorkItem & { attempt: Attempt };

const REPLY_MARGIN_MS = 2;

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
        this.#intake(model).setAckWait(ackWaitMs(this.#dispatcher.credits.slotsOf(model)));
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

  deliver(pulled: Pulled): void {
    this.#whenRunning(() => {
      const { model } = pulled.stream;
      this.#refuse(this.#intake(model).receive(pulled), 'queue_bound');
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
      const spec = this.#world.spec.models.find(({ name }) => name === model) as SimModel;
      intake = new Intake(this.#world, this, this.#dispatcher, spec, this.#streams);
      this.#intakes.set(model, intake);
    }
    return intake;
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
    intake.replenish();
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
