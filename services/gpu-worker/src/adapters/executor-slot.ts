import type { BatchHead, BatchResult, LoadedModel, LoadModel } from '../core/executor-messages.ts';
import type { ExecutorPlan } from '../core/placement.ts';
import { ExecutorProcess } from './executor-process.ts';

/** A batch on its way through the executors. `message` is the serialized BatcherMessage it came in. */
export type PoolBatch = {
  head: BatchHead;
  message: Uint8Array;
  /** On the host's clock, for the executor. */
  arrivedMs: number;
  limitMs: number;
  /** On this process's clock, as the next; 0 until it runs. */
  arrivedAtMs: number;
  startedMs: number;
  pid: number;
};

/** `generation` counts the loads on command. */
export type SlotPlan = ExecutorPlan & { generation: number };

export type SlotEvents = {
  onLoaded: (slot: ExecutorSlot, loaded: LoadedModel) => void;
  /** Every load was answered: batches may come. */
  onReady: (slot: ExecutorSlot) => void;
  onDone: (slot: ExecutorSlot, result: BatchResult) => void;
  /** The process died by itself. */
  onDied: (slot: ExecutorSlot, exit: { how: string; note: string }) => void;
};

/**
 * One execution slot: a succession of executor processes, each with the same models. `starting`: models are being loaded;
 * `ready`: takes batches; `down`: waits to be started again; `ended`: for good.
 */
export class ExecutorSlot {
  readonly name: string;
  readonly #models: readonly string[];
  readonly sent: PoolBatch[] = []; // the first is running, the next is staged in the pipe
  readonly #events: SlotEvents;
  readonly #env: NodeJS.ProcessEnv;
  readonly #loads: LoadModel[];
  readonly #hosted = new Set<string>();
  readonly #everHosted = new Set<string>();
  readonly #gone = Promise.withResolvers<void>();
  #process: ExecutorProcess | undefined;
  #loading: LoadModel[] = [];
  /** 0: it began with the worker. */
  readonly generation: number;
  state: 'starting' | 'ready' | 'down' | 'ended' = 'down';
  /** False: it loads and warms up beside the executors that serve, and takes no batch yet. */
  open: boolean;
  /** It lost its last model to a newer generation or to a command: it ends after what it has. */
  retired = false;
  /** When the present process became ready, on this process's clock. */
  readyAtMs = 0;

  constructor(plan: SlotPlan, loads: LoadModel[], env: NodeJS.ProcessEnv, events: SlotEvents) {
    this.name = plan.name;
    this.#models = plan.models;
    this.generation = plan.generation;
    this.open = plan.generation === 0;
    this.#loads = loads;
    this.#env = env;
    this.#events = events;
  }

  /** Resolves when its last process has ended. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  get pid(): number {
    return this.#process?.pid ?? -1;
  }

  /** Models that are being loaded; the first of them is in the executor's hands now. */
  get loading(): readonly LoadModel[] {
    return this.#loading;
  }

  hosts(model: string, version: string): boolean {
    return this.open && this.state === 'ready' && this.#hosted.has(`${model}/${version}`);
  }

  hostsModel(model: string): boolean {
    if (!this.open || this.state !== 'ready') return false;
    for (const key of this.#hosted) if (key.startsWith(`${model}/`)) return true;
    return false;
  }

  start(): void {
    if (this.state === 'ended') return;
    this.state = 'starting';
    this.readyAtMs = 0;
    this.#hosted.clear();
    this.#loading = [...this.#loads];
    const process = new ExecutorProcess(
      {
        onLoaded: (loaded) => this.#process === process && this.#loaded(loaded),
        onDone: (result) => this.#process === process && this.#events.onDone(this, result),
        onExit: (exit) => this.#process === process && this.#died(exit),
      },
      this.#env,
    );
    this.#process = process;
    for (const load of this.#loading) process.load(load);
    this.#readyIfLoaded();
  }

  #loaded(loaded: LoadedModel): void {
    this.#loading.shift();
    const key = `${loaded.model}/${loaded.version}`;
    const wanted = this.#loads.some(({ model, version }) => model === loaded.model && version === loaded.version);
    if (loaded.error === '' && wanted) {
      this.#hosted.add(key);
      this.#everHosted.add(key);
    } else if (loaded.error !== '' && !this.#everHosted.has(key)) this.forget(loaded.model, loaded.version);
    this.#events.onLoaded(this, loaded);
    this.#readyIfLoaded();
  }

  #readyIfLoaded(): void {
    if (this.#loading.length > 0) return;
    this.state = 'ready';
    this.readyAtMs = performance.now();
    this.#events.onReady(this);
  }

  #died(exit: { how: string; note: string }): void {
    this.#process = undefined;
    if (this.state === 'ended') return;
    this.state = 'down';
    this.#events.onDied(this, exit);
  }

  /** A model that never could be loaded, or that ended the process which loaded it, is not tried again in the next one. */
  forget(model: string, version: string): void {
    const index = this.#loads.findIndex((load) => load.model === model && load.version === version);
    if (index !== -1) this.#loads.splice(index, 1);
  }

  /**
   * It runs these versions of a model no more, or none of them, once it has run the batches that it has. Their sessions are released,
   * which gives back a part of their memory; the rest comes with the end of the process.
   */
  retire(model: string, versions?: readonly string[]): void {
    for (const load of [...this.#loads]) {
      if (load.model !== model || (versions !== undefined && !versions.includes(load.version))) continue;
      this.forget(model, load.version);
      if (this.#hosted.delete(`${model}/${load.version}`)) this.#process?.release(load);
    }
    this.retired ||= this.#loads.length === 0 && this.#models.includes(model);
  }

  send(batch: PoolBatch): void {
    batch.pid = this.pid;
    this.sent.push(batch);
    (this.#process as ExecutorProcess).run(batch.message, batch.arrivedMs);
  }

  /** Ends the process at once; nothing more is heard of it. */
  kill(): void {
    const process = this.#process;
    this.#process = undefined;
    if (this.state !== 'ended') this.state = 'down';
    process?.kill();
  }

  /** No process follows. An idle one ends by itself, one that is still in a run after `graceMs` is killed. */
  async end(graceMs: number): Promise<void> {
    this.state = 'ended';
    const process = this.#process;
    if (process !== undefined) {
      const late = setTimeout(() => process.kill(), graceMs);
      process.end();
      await process.exited;
      clearTimeout(late);
    }
    this.#gone.resolve();
  }
}
