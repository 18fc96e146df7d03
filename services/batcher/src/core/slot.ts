import type { RunTime as RunTimeMessage, ServedModel } from '@spillway/contracts/messages';
import type { Clock } from '@spillway/lifecycle/clock';
import { HopTime } from './hop-time.ts';
import { Instance } from './instance.ts';
import { RunTime } from './run-time.ts';
import { Turns } from './turns.ts';

/** From here on the executors of a worker count as shared by its models. */
const SHARED = 0.5;
/** Weight of one batch in what is known of shared executors. */
const SHARING_WEIGHT = 0.1;
const BUSY_OVER_MS = 1_000;
const LEAST_BUSY = 0.02;

/** What one worker does for one model. `worker` names its stream, not its process: a reconnect is another worker. */
export class Slot {
  readonly worker: string;
  readonly model: string;
  /** Rows of a batch, ≥ 1. */
  readonly maxRows: number;
  /** Which executors of the worker it stands for. */
  readonly generation: number;
  /** As many as batches can run at the same time. */
  readonly instances: readonly Instance[];
  readonly hop = new HopTime();
  /** Of all models of this worker, this one among them. */
  readonly siblings: readonly Slot[];
  readonly turns: Turns;
  usedMs = 0;
  /** How far its executors run the other models too, 0 to 1: what those have there is in the way of its batches. */
  sharing = 1;
  /** Instances that its own runs kept busy lately. */
  busy = 0;
  lastRunMs = 0;
  versions: ReadonlySet<string>;
  /** Batches it would take now. */
  free = 0;
  /** It has asked for a batch on this stream: this batcher is (or was) its home. */
  asked = false;
  leaving = false;
  readonly #clock: Clock;
  readonly #full: RunTime;
  readonly #variants = new Map<string, RunTime>();
  #ranMs = 0;
  #busyAtMs: number;

  constructor(clock: Clock, worker: string, served: ServedModel, siblings: readonly Slot[] = [], turns = new Turns()) {
    const { model, versions, maxBatchSize, slots, runMsOne, runMsFull, variants = [], generation = 0 } = served;
    this.siblings = siblings;
    this.turns = turns;
    this.#busyAtMs = clock.now();
    this.#clock = clock;
    this.worker = worker;
    this.model = model;
    this.generation = generation;
    this.versions = new Set(versions);
    this.maxRows = Math.max(1, maxBatchSize);
    this.#full = new RunTime(clock, { runMsOne, runMsFull, maxRows: this.maxRows });
    for (const { variant, ...warmUp } of variants) {
      this.#variants.set(variant, new RunTime(clock, { ...warmUp, maxRows: this.maxRows }));
    }
    this.instances = Array.from({ length: Math.max(1, slots) }, () => new Instance(this, clock.now()));
  }

  get inFlight(): number {
    let batches = 0;
    for (const instance of this.instances) batches += instance.inFlight;
    return batches;
  }

  get healthy(): boolean {
    return this.instances.some((instance) => !instance.suspect);
  }

  /** One whose executor does not answer but seems to the worker to have room: a second batch of a neighbour could go there. */
  get trap(): boolean {
    return this.instances.some((instance) => instance.suspect && instance.inFlight === 1);
  }

  /** What other models have at its worker, for each of its instances, ms. */
  othersMs(nowMs: number): number {
    if (this.siblings.length < 2) return 0;
    let ms = 0;
    for (const sibling of this.siblings) {
      if (sibling !== this) for (const instance of sibling.instances) ms += instance.startInMs(nowMs);
    }
    return ms / this.instances.length;
  }

  /** When a batch of another model last ended at its worker. */
  get othersEndedMs(): number {
    let ms = Number.NEGATIVE_INFINITY;
    for (const sibling of this.siblings) {
      if (sibling !== this) for (const { endedMs } of sibling.instances) ms = Math.max(ms, endedMs);
    }
    return ms;
  }

  /** Share of its instances' time that other models leave it; at least its part if all want as much as they can get. */
  get ownShare(): number {
    let othersBusy = 0;
    for (const sibling of this.siblings) if (sibling !== this) othersBusy += sibling.busy;
    const left = 1 - (this.sharing * othersBusy) / this.instances.length;
    return Math.max(1 / Math.max(1, this.siblings.length), left);
  }

  /** The longest run of another model that was busy lately: one of its batches may be in the way of any of this model's. */
  get longestOtherMs(): number {
    let ms = 0;
    for (const sibling of this.siblings) {
      if (sibling !== this && sibling.busy > LEAST_BUSY) ms = Math.max(ms, sibling.lastRunMs);
    }
    return this.sharing * ms;
  }

  /** While its worker is busy, a model waits for others there that had less of it. @param waits Whether requests of a model wait. */
  isNext(waits: (model: string) => boolean): boolean {
    if (this.siblings.length < 2 || this.sharing < SHARED) return true;
    const others = this.siblings.filter(
      (other) => other !== this && (other.free > 0 || other.inFlight > 0) && waits(other.model),
    );
    return this.turns.isNext(this, others);
  }

  /** A batch that left for an idle instance waited so long there, when others had `behindMs` before it. */
  observeSharing(behindMs: number, waitedMs: number): void {
    const share = Math.min(1, Math.max(0, waitedMs / behindMs));
    this.sharing += SHARING_WEIGHT * (share - this.sharing);
  }

  ran(runMs: number): void {
    this.lastRunMs = runMs;
    this.#ranMs += runMs;
  }

  tick(nowMs: number): void {
    const passedMs = nowMs - this.#busyAtMs;
    if (passedMs <= 0) return;
    this.#busyAtMs = nowMs;
    this.busy += (1 - Math.exp(-passedMs / BUSY_OVER_MS)) * (this.#ranMs / passedMs - this.busy);
    this.#ranMs = 0;
  }

  /** Learned apart for each variant of the model. A lighter one counts as slow as the full model until something else is known. */
  runTime(variant: string): RunTime {
    if (variant === '') return this.#full;
    let known = this.#variants.get(variant);
    if (known === undefined) {
      const { maxRows } = this;
      const [runMsOne, runMsFull] = [this.#full.predictMs(1), this.#full.predictMs(maxRows)];
      known = new RunTime(this.#clock, { runMsOne, runMsFull, maxRows });
      this.#variants.set(variant, known);
    }
    return known;
  }

  /** As others are told of them: of the full model and of the lighter variants that can run or have run here. */
  runTimes(): RunTimeMessage[] {
    return ['', ...this.#variants.keys()].map((variant) => {
      const { baseMs, rowMs, cv } = this.runTime(variant);
      return { variant, baseMs, rowMs, cv };
    });
  }

  /** More was granted than the live executors can hold: one that was lost is back. */
  granted(batches: number, most: number): void {
    this.asked = true;
    this.free = Math.min(most, this.free + batches);
    const lost = this.instances.filter((instance) => instance.lost);
    let room = this.free + this.inFlight - 2 * (this.instances.length - lost.length);
    for (const instance of lost) {
      if (room <= 0) return;
      instance.restore(this.#clock.now());
      room -= 2;
    }
  }
}
