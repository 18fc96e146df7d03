import { CLASSES, isTrafficClass } from '@spillway/contracts/classes';
import { monotonicClock } from '@spillway/lifecycle/clock';
import {
  type BatchHead,
  type BatchResult,
  type LoadedModel,
  type LoadModel,
  nothingLoaded,
} from '../core/executor-messages.ts';
import type { ExecutorPlan } from '../core/placement.ts';
import { Watchdog } from '../core/watchdog.ts';
import { ExecutorSlot, type PoolBatch } from './executor-slot.ts';
import { toHostMs } from './host-clock.ts';

export type LossReason = 'run_limit' | 'load_limit' | 'executor_died';
export type Loss = {
  executor: string;
  pid: number;
  reason: LossReason;
  how: string;
  note: string;
  model: string;
  ranMs: number;
};

export type PoolEvents = {
  onDone: (batch: PoolBatch, result: BatchResult) => void;
  /** It was running when its executor was killed or died. */
  onFailed: (batch: PoolBatch, loss: Loss) => void;
  /** Nothing of it ran: its executor is gone, and no other hosts the model now. */
  onNotStarted: (batch: PoolBatch) => void;
  onLoaded: (executor: string, loaded: LoadedModel) => void;
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
/** An executor that lived shorter than this after it was ready is started again with growing delay. */
const STABLE_MS = 5_000;
const RESTART_DELAY = { initialMs: 100, maxMs: 5_000 };
const END_GRACE_MS = 1_000;

const rankOf = (batch: PoolBatch): number =>
  isTrafficClass(batch.head.trafficClass) ? CLASSES.indexOf(batch.head.trafficClass) : CLASSES.length;

/**
 * The executor children: sends each batch to the least busy one that hosts its model, kills one whose run is over the limit,
 * replaces those that die. Batches wait here, by class and arrival, only while every executor of their model has two.
 */
export class ExecutorPool {
  readonly #options: PoolOptions;
  readonly #slots: ExecutorSlot[];
  readonly #watchdog = new Watchdog<ExecutorSlot>(monotonicClock);
  readonly #quickDeaths = new Map<ExecutorSlot, number>();
  readonly #restarts = new Set<NodeJS.Timeout>();
  #waiting: PoolBatch[] = [];
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #ended = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    const events = {
      onLoaded: (slot: ExecutorSlot, loaded: LoadedModel) => this.#loaded(slot, loaded),
      onReady: (slot: ExecutorSlot) => this.#ready(slot),
      onDone: (slot: ExecutorSlot, result: BatchResult) => this.#done(slot, result),
      onDied: (slot: ExecutorSlot, { how, note }: { how: string; note: string }) =>
        this.#lost(slot, 'executor_died', how, note),
    };
    this.#slots = options.plans.map((plan) => {
      const loads = plan.models.flatMap((model) => options.loads.get(model) ?? []);
      return new ExecutorSlot(plan, loads, options.env, events);
    });
    for (const slot of this.#slots) this.#start(slot);
  }

  /** Executors that take batches of a model now. */
  slotsOf(model: string): number {
    return this.#slots.filter((slot) => slot.hostsModel(model)).length;
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
    else this.#wait(batch);
  }

  #freest({ head: { model, version } }: PoolBatch): ExecutorSlot | undefined {
    let best: ExecutorSlot | undefined;
    for (const slot of this.#slots) {
      if (slot.hosts(model, version) && (best === undefined || slot.sent.length < best.sent.length)) best = slot;
    }
    return best;
  }

  #wait(batch: PoolBatch): void {
    const rank = rankOf(batch);
    let at = this.#waiting.length;
    while (at > 0 && rankOf(this.#waiting[at - 1] as PoolBatch) > rank) at -= 1;
    this.#waiting.splice(at, 0, batch);
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
    this.#options.events.onDone(batch, result);
  }

  #refill(slot: ExecutorSlot): void {
    if (this.#waiting.length === 0) return;
    while (slot.sent.length < SENT_PER_EXECUTOR) {
      const at = this.#waiting.findIndex(({ head }) => slot.hosts(head.model, head.version));
      if (at === -1) return;
      this.#send(slot, this.#waiting.splice(at, 1)[0] as PoolBatch);
    }
  }

  #start(slot: ExecutorSlot): void {
    slot.start();
    if (slot.state === 'starting') this.#arm(this.#watchdog.started(slot, this.#options.loadLimitMs));
  }

  #loaded(slot: ExecutorSlot, loaded: LoadedModel): void {
    this.#options.events.onLoaded(slot.name, loaded);
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
    this.#restart(slot, reason);
    this.#options.events.onSlots();
    if (running !== undefined) this.#options.events.onFailed(running, loss);
    const orphans = [...sent, ...this.#waiting.filter((batch) => this.#freest(batch) === undefined)];
    this.#waiting = this.#waiting.filter((batch) => this.#freest(batch) !== undefined);
    for (const batch of orphans) this.#options.events.onNotStarted(batch);
  }

  /** The model that was being loaded is taken for the culprit: the next process is started without it. */
  #loadLost(slot: ExecutorSlot, { model, version }: LoadModel, { reason, how, note }: Loss): void {
    slot.forget(model, version);
    const what =
      reason === 'load_limit'
        ? `it took longer than ${this.#options.loadLimitMs} ms to load`
        : `its executor died while loading it (${how})`;
    const error = [what, note.trim().split('\n').at(-1) ?? ''].filter((text) => text !== '').join(': ');
    this.#options.events.onLoaded(slot.name, { ...nothingLoaded(model, version), error });
  }

  /** At once, also after each killed run: runs over the limit bound their own rate. Only one that dies again and again waits. */
  #restart(slot: ExecutorSlot, reason: LossReason): void {
    const lived = slot.readyAtMs > 0 ? monotonicClock.now() - slot.readyAtMs : 0;
    const deaths = reason !== 'executor_died' || lived >= STABLE_MS ? 0 : (this.#quickDeaths.get(slot) ?? 0);
    this.#quickDeaths.set(slot, deaths + 1);
    if (deaths === 0) {
      this.#start(slot);
      return;
    }
    const delayMs = Math.min(RESTART_DELAY.maxMs, RESTART_DELAY.initialMs * 2 ** (deaths - 1));
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
    await Promise.all(this.#slots.map((slot) => slot.end(END_GRACE_MS)));
  }
}
