import type { Hello, ServedModel } from '@spillway/contracts/messages';
import type { RunFacts } from './attempt.ts';
import { Instance, type SimBatch } from './instance.ts';
import { type RunTimes, runMsOf, type SimModel, type World } from './spec.ts';

export type DoneBatch = { batchId: string; model: string; rows: number; runMs: number };

/** What a worker says to a batcher; `stream` names the connection. */
export type Home = {
  join(worker: WorkerNode, stream: string, hello: Hello): void;
  grant(stream: string, model: string, batches: number): void;
  done(stream: string, batch: DoneBatch): void;
  /** It takes no further batches of this stream, and finishes what it has. */
  goodbye(stream: string): void;
  lost(stream: string): void;
};

export type SentBatch = SimBatch & { batchId: string; from: Home; stream: string };

const BATCHES_PER_SLOT = 2;
const REHOME_MS = 50; // a new stream

/** A gpu-worker with one executor: one batch runs, one of each model may wait. */
export class WorkerNode {
  readonly instance: Instance;
  readonly index: number;
  readonly #world: World;
  readonly #models: readonly SimModel[];
  /** Connections whose batches it takes. */
  readonly #streams = new Set<string>();
  readonly #held = new Map<string, number>();
  #home: Home | undefined;
  #stream = '';
  #count = 0;

  constructor(world: World, facts: RunFacts, index: number) {
    const serves = world.spec.serves?.(index);
    this.#world = world;
    this.index = index;
    this.#models = world.spec.models.filter(({ name }) => serves?.includes(name) ?? true);
    this.instance = new Instance(world, facts, `instance ${index}`, 2 * world.spec.hopMs);
  }

  get home(): Home | undefined {
    return this.#home;
  }

  /** Dials a batcher, which becomes its home. */
  dial(home: Home): void {
    this.#count += 1;
    const stream = `w${this.index}.${this.#count}`;
    this.#home = home;
    this.#stream = stream;
    this.#streams.add(stream);
    const hello = { instance: `w${this.index}`, models: this.#models.map((model) => this.#served(model)) };
    this.#say(() => {
      if (this.#stream !== stream) return;
      home.join(this, stream, hello);
      for (const { name } of this.#models) home.grant(stream, name, BATCHES_PER_SLOT - this.#heldOf(name));
    });
  }

  accept(batch: SentBatch): void {
    if (!this.#streams.has(batch.stream)) return;
    const { name } = batch.model;
    this.#held.set(name, this.#heldOf(name) + 1);
    this.instance.accept(batch);
  }

  /** Changes its home; what the old one sent is finished for it. */
  move(next: Home): void {
    const [old, stream] = [this.#home, this.#stream];
    if (old !== undefined) this.#say(() => old.goodbye(stream));
    this.#home = undefined;
    this.#world.sim.after(REHOME_MS, (home: Home) => this.dial(home), next);
  }

  /** The home's process ended; what it sent is finished all the same. */
  homeLost(next: Home): void {
    this.#home = undefined;
    this.#stream = '';
    this.#world.sim.after(REHOME_MS, (home: Home) => this.dial(home), next);
  }

  /** The process dies: what it has is lost, its batchers see their streams close. */
  kill(): void {
    const [home, stream] = [this.#home, this.#stream];
    this.instance.kill();
    this.#held.clear();
    this.#streams.clear();
    this.#home = undefined;
    this.#stream = '';
    if (home !== undefined) this.#say(() => home.lost(stream));
  }

  restart(home: Home): void {
    this.instance.revive();
    this.dial(home);
  }

  readonly ended = (batch: SimBatch, runMs: number): void => {
    const { from, stream, batchId, model, rows } = batch as SentBatch;
    const { name } = model;
    this.#held.set(name, Math.max(0, this.#heldOf(name) - 1));
    this.#say(() => {
      if (!this.#streams.has(stream)) return;
      from.done(stream, { batchId, model: name, rows, runMs: runMs * this.#world.spec.believed.runTime });
      this.#home?.grant(this.#stream, name, 1);
    });
  };

  #heldOf(model: string): number {
    return this.#held.get(model) ?? 0;
  }

  #say(what: () => void): void {
    this.#world.sim.after(this.#world.spec.hopMs, what, undefined);
  }

  #served(model: SimModel): ServedModel {
    const warmUp = (times: RunTimes) => ({
      runMsOne: runMsOf(times, 1) * this.#world.spec.believed.runTime,
      runMsFull: runMsOf(times, model.maxRows) * this.#world.spec.believed.runTime,
    });
    return {
      model: model.name,
      versions: ['1'],
      maxBatchSize: model.maxRows,
      slots: 1,
      runLimitMs: 60_000,
      ...warmUp(model),
      variants: Object.entries(model.variants ?? {}).map(([variant, times]) => ({ variant, ...warmUp(times) })),
    };
  }
}
