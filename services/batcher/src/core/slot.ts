import type { ServedModel } from '@spillway/contracts/messages';
import type { Clock } from '@spillway/lifecycle/clock';
import { HopTime } from './hop-time.ts';
import { RunTime } from './run-time.ts';
import { Turns } from './turns.ts';

/** The first batches of an executor pay for what the next ones have: they teach nothing about its speed. */
const WARMING_BATCHES = 2;
/** Fewer rows than this protect nothing. */
const LEAST_FIRST_ROWS = 4;
/** A batch that took longer than this, of what was predicted, does not count for the slow start. */
const ON_TIME = 1.5;
/** Where a slow start over time begins. */
const FIRST_SHARE = 0.2;

/** How the load of a new executor grows: with each batch, or over `slowStartMs` if that is not 0. */
export type SlowStart = { operatingRows: number; slowStartMs: number; nowMs: number };

/** What is known of a batch when it ends. `runMs` is the worker's figure. */
export type InstanceEnd = { predictedMs: number; runMs: number; ran: boolean; nowMs: number };

/**
 * One of the places in which a worker runs batches, with the batches that it has as far as this side can tell: like the worker,
 * the batcher counts on the least busy place, and a place runs in the order of sending.
 */
export class Instance {
  readonly slot: Slot;
  /** It is silent for too long, or its executor was lost and nothing was granted since: nothing is sent there. */
  suspect = false;
  /** Its executor was lost and is being replaced. */
  lost = false;
  readonly #awaited: number[] = []; // predictions of what it has, ms
  #beganMs = 0;
  #endedMs = Number.NEGATIVE_INFINITY;
  #sinceMs: number;
  #ran = 0;
  #doublings = 0;

  constructor(slot: Slot, nowMs: number) {
    this.slot = slot;
    this.#sinceMs = nowMs;
  }

  get inFlight(): number {
    return this.#awaited.length;
  }

  /** The batches of a new executor are slower than those that follow. */
  get warm(): boolean {
    return this.#ran >= WARMING_BATCHES;
  }

  /** When its last batch ended. */
  get endedMs(): number {
    return this.#endedMs;
  }

  /** How long the batch that it runs has been running, or would have, had it been there in time; 0: it has none. */
  silentMs(nowMs: number): number {
    return this.#awaited.length === 0 ? 0 : nowMs - this.#beganMs;
  }

  /** What the batch that it runs was predicted to take. */
  get runningMs(): number {
    return this.#awaited[0] ?? 0;
  }

  /** Until a further batch could begin here, ms. */
  startInMs(nowMs: number): number {
    const [first] = this.#awaited;
    if (first === undefined) return 0;
    let ms = Math.max(0, first - (nowMs - this.#beganMs));
    for (let i = 1; i < this.#awaited.length; i += 1) ms += this.#awaited[i] as number;
    return ms;
  }

  /** Rows that its next batch may have. */
  rowsNow({ operatingRows, slowStartMs, nowMs }: SlowStart): number {
    if (slowStartMs > 0) {
      const share = FIRST_SHARE + ((1 - FIRST_SHARE) * (nowMs - this.#sinceMs)) / slowStartMs;
      return share >= 1 ? operatingRows : Math.max(1, Math.round(share * operatingRows));
    }
    const first = Math.max(LEAST_FIRST_ROWS, Math.ceil(operatingRows / 4));
    return Math.min(operatingRows, first * 2 ** this.#doublings);
  }

  sent(predictedMs: number, nowMs: number): void {
    if (this.#awaited.length === 0) this.#beganMs = nowMs;
    this.#awaited.push(predictedMs);
  }

  /** A batch ended, which says that it lives. */
  ended({ predictedMs, runMs, ran, nowMs }: InstanceEnd): void {
    this.suspect = this.lost;
    this.#awaited.splice(Math.max(0, this.#awaited.indexOf(predictedMs)), 1);
    this.#beganMs = nowMs;
    this.#endedMs = nowMs;
    if (!ran) return;
    this.#ran += 1;
    if (runMs <= ON_TIME * predictedMs && this.#doublings < 10) this.#doublings += 1;
  }

  /** Its executor is gone; another one starts cold. */
  lose(nowMs: number): void {
    this.lost = true;
    this.suspect = true;
    this.#sinceMs = nowMs;
    this.#ran = 0;
    this.#doublings = 0;
  }

  /** Its executor was replaced. */
  restore(nowMs: number): void {
    this.lost = false;
    this.suspect = false;
    this.#sinceMs = nowMs;
  }
}

/** Weight of one batch in what is known of shared executors. */
const SHARING_WEIGHT = 0.1;
const BUSY_OVER_MS = 1_000;

/** What one worker does for one model. `worker` names its stream, not its process: a reconnect is another worker. */
export class Slot {
  readonly worker: string;
  readonly model: string;
  /** Rows of a batch, ≥ 1. */
  readonly maxRows: number;
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
    const { model, versions, maxBatchSize, slots, runMsOne, runMsFull, variants = [] } = served;
    this.siblings = siblings;
    this.turns = turns;
    this.#busyAtMs = clock.now();
    this.#clock = clock;
    this.worker = worker;
    this.model = model;
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

  /** A batch that left for an idle instance waited so long there, when others had `behindMs` before it. */
  observeSharing(behindMs: number, waitedMs: number): void {
    const share = Math.min(1, Math.max(0, waitedMs / behindMs));
    this.sharing += SHARING_WEIGHT * (share - this.sharing);
  }

  ran(runMs: number): void {
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

  /** Names of the lighter variants that can run or have run here. */
  variants(): Iterable<string> {
    return this.#variants.keys();
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
