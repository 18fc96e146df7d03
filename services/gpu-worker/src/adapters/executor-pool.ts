import { monotonicClock } from '@spillway/lifecycle/clock';
import { type Loss, type LossReason, loadLossText } from '../core/executor-loss.ts';
import {
  type BatchHead,
  type BatchResult,
  type LoadedModel,
  type LoadModel,
  loadAnswer,
} from '../core/executor-messages.ts';
import type { ExecutorPlan } from '../core/placement.ts';
import { RestartDelay } from '../core/restart-delay.ts';
import { WaitingBatches } from '../core/waiting-batches.ts';
import { Watchdog } from '../core/watchdog.ts';
import { ExecutorSlot, type PoolBatch, type SlotEvents } from './executor-slot.ts';
import { toHostMs } from './host-clock.ts';

export type PoolEvents = {
  onDone: (batch: PoolBatch, result: BatchResult) => void;
  /** It was running when its executor was killed or died. */
  onFailed: (batch: PoolBatch, loss: Loss) => void;
  /** Nothing of it ran: its executor is gone, and no other hosts the model now. */
  onNotStarted: (batch: PoolBatch) => void;
  onLoaded: (executor: string, loaded: LoadedModel, generation: number) => void;
  /** An executor began or ceased to take batches: slots of models have changed. */
  onSlots: () => void;
  onLost: (loss: Loss) => void;
};

export type PoolOptions = {
  plans: readonly ExecutorPlan[];
  /** By model: one for each version. */
  loads: ReadonlyMap<string, readonly LoadModel[]>;
  runLimitMs: (model: string) => number;
  loadLimitMs: number;
  env: NodeJS.ProcessEnv;
  events: PoolEvents;
};

/** One running, one staged in the pipe: the executor never waits for us between two batches. */
const SENT_PER_EXECUTOR = 2;
const END_GRACE_MS = 1_000;

/**
 * The executor children: sends each batch to the least busy one that hosts its model, kills one whose run is over the limit,
 * replaces those that die. Batches wait here, by class and arrival, only while every executor of their model has two.
 */
export class ExecutorPool {
  readonly #options: PoolOptions;
  readonly #slots: ExecutorSlot[] = [];
  /** Of each model that was loaded on command: the one that takes its batches. */
  readonly #generations = new Map<string, number>();
  readonly #slotEvents: SlotEvents;
  readonly #watchdog = new Watchdog<ExecutorSlot>(monotonicClock);
  readonly #restartDelay = new RestartDelay<ExecutorSlot>();
  readonly #ending = new Set<ExecutorSlot>();
  readonly #restarts = new Set<NodeJS.Timeout>();
  readonly #waiting = new WaitingBatches<PoolBatch>();
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #ended = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#slotEvents = {
      onLoaded: (slot: ExecutorSlot, loaded: LoadedModel) => this.#loaded(slot, loaded),
      onReady: (slot: ExecutorSlot) => this.#ready(slot),
      onDone: (slot: ExecutorSlot, result: BatchResult) => this.#done(slot, result),
      onDied: (slot: ExecutorSlot, { how, note }: { how: string; note: string }) =>
        this.#lost(slot, 'executor_died', how, note),
    };
    this.add(options, 0);
  }

  /**
   * Starts further executors. Those of a generation above 0 take no batch before `shift`; each of their loads is answered by
   * `onLoaded`.
   */
  add({ plans, loads }: Pick<PoolOptions, 'plans' | 'loads'>, generation: number): void {
    const slots = plans.map((plan) => {
      const own = plan.models.flatMap((model) => loads.get(model) ?? []);
      return new ExecutorSlot({ ...plan, generation }, own, this.#options.env, this.#slotEvents);
    });
    this.#slots.push(...slots);
    for (const slot of slots) this.#start(slot);
  }

  /**
   * Batches of these versions of the model run in its new generation from now on; former ones finish what they have, and keep
   * other versions until they are retired. No `onSlots` follows, nor after `retire`: the caller knows.
   */
  shift(model: string, generation: number, versions: readonly string[]): void {
    this.#generations.set(model, generation);
    for (const slot of this.#slots.filter((candidate) => candidate.generation === generation)) {
      slot.open = true;
      this.#refill(slot);
    }
    void this.retire(model, (other) => other < generation, versions);
  }

  /**
   * Executors of these generations run the model, or only these versions of it, no more. One that is left without a model ends
   * after the batches that it has. Resolves when all of those have ended.
   */
  async retire(model: string, which: (generation: number) => boolean, versions?: readonly string[]): Promise<void> {
    const former = this.#slots.filter((slot) => which(slot.generation));
    for (const slot of former) slot.retire(model, versions);
    const retired = former.filter((slot) => slot.retired);
    for (const slot of retired) this.#endIfIdle(slot);
    this.#returnOrphans();
    await Promise.all(retired.map((slot) => slot.gone));
  }

  /** Executors that take batches of a model now. */
  slotsOf(model: string): number {
    const generation = this.#generations.get(model) ?? 0;
    return this.#slots.filter((slot) => slot.generation === generation && slot.hostsModel(model)).length;
  }

  /** Every executor has loaded what it could. */
  get ready(): boolean {
    return this.#slots.every((slot) => slot.state === 'ready');
  }

  /** Executors that take batches now. */
  get live(): number {
    return this.#slots.filter((slot) => slot.state === 'ready').length;
  }

  /** Of the executors that live now. */
  pids(): number[] {
    return this.#slots.filter((slot) => slot.state === 'ready' || slot.state === 'starting').map((slot) => slot.pid);
  }

  /** Takes a batch; exactly one of `onDone`, `onFailed`, `onNotStarted` follows, possibly before this returns. */
  run(head: BatchHead, message: Uint8Array): void {
    const limitMs = this.#options.runLimitMs(head.model);
    const arrivedAtMs = monotonicClock.now();
    const batch: PoolBatch = {
      head,
      message,
      arrivedMs: toHostMs(arrivedAtMs),
      arrivedAtMs,
      limitMs,
      startedMs: 0,
      pid: -1,
    };
    const slot = this.#freest(batch);
    if (slot === undefined) this.#options.events.onNotStarted(batch);
    else if (slot.sent.length < SENT_PER_EXECUTOR) this.#send(slot, batch);
    else this.#waiting.add(batch);
  }

  #freest({ head: { model, version } }: PoolBatch): ExecutorSlot | undefined {
    let best: ExecutorSlot | undefined;
    for (const slot of this.#slots) {
      if (slot.hosts(model, version) && (best === undefined || slot.sent.length < best.sent.length)) best = slot;
    }
    return best;
  }

  #send(slot: ExecutorSlot, batch: PoolBatch): void {
    slot.send(batch);
    if (slot.sent.length === 1) this.#began(slot, batch);
  }

  #began(slot: ExecutorSlot, batch: PoolBatch): void {
    batch.startedMs = monotonicClock.now();
    this.#arm(this.#watchdog.started(slot, batch.limitMs));
  }

  #done(slot: ExecutorSlot, result: BatchResult): void {
    const batch = slot.sent.shift();
    if (batch === undefined) return;
    const [next] = slot.sent;
    if (next === undefined) this.#watchdog.finished(slot);
    else this.#began(slot, next);
    this.#refill(slot);
    this.#endIfIdle(slot);
    this.#options.events.onDone(batch, result);
  }

  #refill(slot: ExecutorSlot): void {
    while (!this.#waiting.empty && slot.sent.length < SENT_PER_EXECUTOR) {
      const next = this.#waiting.take(({ head }) => slot.hosts(head.model, head.version));
      if (next === undefined) return;
      this.#send(slot, next);
    }
  }

  #start(slot: ExecutorSlot): void {
    slot.start();
    if (slot.state === 'starting') this.#arm(this.#watchdog.started(slot, this.#options.loadLimitMs));
  }

  #loaded(slot: ExecutorSlot, loaded: LoadedModel): void {
    this.#options.events.onLoaded(slot.name, loaded, slot.generation);
    if (slot.loading.length > 0) this.#arm(this.#watchdog.started(slot, this.#options.loadLimitMs));
  }

  #ready(slot: ExecutorSlot): void {
    this.#watchdog.finished(slot);
    this.#refill(slot);
    this.#options.events.onSlots();
  }

  /** One timer, armed for the earliest end; a run that ends in time costs none. */
  #arm(inMs: number): void {
    const atMs = monotonicClock.now() + inMs;
    if (atMs >= this.#timerAtMs) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = atMs;
    // Answers that already lie in a pipe count: they are read before `setImmediate`, also after a stall of this process.
    this.#timer = setTimeout(() => setImmediate(() => this.#killOverdue()), inMs);
    this.#timer.unref();
  }

  #killOverdue(): void {
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    for (const { executor: slot, ranMs } of this.#watchdog.takeOverdue()) {
      const reason = slot.state === 'starting' ? 'load_limit' : 'run_limit';
      const pid = slot.pid;
      slot.kill();
      this.#lost(slot, reason, 'SIGKILL', '', ranMs, pid);
    }
    const dueMs = this.#watchdog.dueInMs();
    if (Number.isFinite(dueMs)) this.#arm(dueMs);
  }

  #lost(
    slot: ExecutorSlot,
    reason: LossReason,
    how: string,
    note: string,
    ranMs = 0,
    pid = slot.sent[0]?.pid ?? -1,
  ): void {
    this.#watchdog.finished(slot);
    if (this.#ended || slot.state === 'ended') return;
    const [loading] = slot.loading;
    const sent = slot.sent.splice(0);
    const running = sent.shift();
    const model = running?.head.model ?? loading?.model ?? '';
    const loss: Loss = { executor: slot.name, pid, reason, how, note, model, ranMs };
    this.#options.events.onLost(loss);
    if (loading !== undefined) this.#loadLost(slot, loading, loss);
    if (slot.retired) this.#endIfIdle(slot);
    else this.#restart(slot, reason);
    this.#options.events.onSlots();
    if (running !== undefined) this.#options.events.onFailed(running, loss);
    this.#returnOrphans(sent);
  }

  /** What waits for a model that no executor hosts now. */
  #returnOrphans(orphans: PoolBatch[] = []): void {
    const unhosted = this.#waiting.takeAll((batch) => this.#freest(batch) === undefined);
    for (const batch of [...orphans, ...unhosted]) this.#options.events.onNotStarted(batch);
  }

  #endIfIdle(slot: ExecutorSlot): void {
    const place = this.#slots.indexOf(slot);
    if (!slot.retired || slot.sent.length > 0 || place === -1) return;
    this.#slots.splice(place, 1);
    this.#watchdog.finished(slot);
    this.#ending.add(slot);
    void slot.end(END_GRACE_MS).then(() => this.#ending.delete(slot));
  }

  /** The model that was being loaded is taken for the culprit: the next process is started without it. */
  #loadLost(slot: ExecutorSlot, { model, version }: LoadModel, loss: Loss): void {
    slot.forget(model, version);
    const error = loadLossText(loss, this.#options.loadLimitMs);
    this.#options.events.onLoaded(slot.name, loadAnswer({ model, version }, error), slot.generation);
  }

  #restart(slot: ExecutorSlot, reason: LossReason): void {
    const livedMs = slot.readyAtMs > 0 ? monotonicClock.now() - slot.readyAtMs : 0;
    const delayMs = this.#restartDelay.afterLoss(slot, livedMs, reason !== 'executor_died');
    if (delayMs === 0) {
      this.#start(slot);
      return;
    }
    const timer = setTimeout(() => {
      this.#restarts.delete(timer);
      this.#start(slot);
    }, delayMs);
    this.#restarts.add(timer);
  }

  /** Ends all executors; those that do not within a second are killed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#timer);
    for (const timer of this.#restarts) clearTimeout(timer);
    await Promise.all([...this.#slots, ...this.#ending].map((slot) => slot.end(END_GRACE_MS)));
  }
}
