import type { Slot } from './slot.ts';

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
