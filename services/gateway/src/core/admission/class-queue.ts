import { PublishedWork } from './published-work.ts';

/** After a tick, what is left of work that was admitted and has not been published: its caller may have gone. */
const STILL_COMING = 0.9;

/** `sampledAtMs`: when `pending` was true, NaN for never; `heldIms` by all batchers, true at `atMs`. Times on this clock. */
export type QueueSample = { pendingIms: number; sampledAtMs: number; heldIms: number; atMs: number };

/**
 * How much work of one class and model this gateway believes to be waiting, in ims. A batcher's report is carried on to now:
 * what this gateway has sent since the stream was sampled, what the others have sent by its share of the traffic, less what has
 * left since the report. (Between sample and report nothing left the stream, else there were a newer sample.) The queue is followed
 * step by step, so that an idle second is no credit for a burst.
 */
export class ClassQueue {
  /** This gateway's share of what is offered. */
  share = 1;
  /** ims per ms that leave while there is work. */
  drain = 0;
  readonly #published = new PublishedWork();
  readonly #corrected: boolean;
  #sampledAtMs = Number.NEGATIVE_INFINITY;
  #pending = 0;
  #held = 0;
  #ownBefore = 0;
  #waiting = 0;
  #atMs: number;
  #coming = 0;

  /** @param corrected False: a report is believed as it is until the next one. */
  constructor(nowMs: number, corrected: boolean) {
    this.#atMs = nowMs;
    this.#corrected = corrected;
  }

  /** Of a new request of this class, ims. O(1). */
  aheadIms(nowMs: number): number {
    if (!this.#corrected) return this.#pending + this.#held;
    return Math.max(0, this.#waiting - this.drain * Math.max(0, nowMs - this.#atMs)) + this.#coming;
  }

  /** Work that will be published soon. */
  admitted(costIms: number): void {
    this.#coming += costIms;
  }

  published(costIms: number, nowMs: number): void {
    this.#coming = Math.max(0, this.#coming - costIms);
    this.#published.add(costIms, nowMs);
    this.advance(nowMs);
    this.#waiting += costIms / this.share;
  }

  observe({ pendingIms, sampledAtMs, heldIms, atMs }: QueueSample, nowMs: number): void {
    this.#held = heldIms;
    if (sampledAtMs > this.#sampledAtMs) {
      this.#sampledAtMs = sampledAtMs;
      this.#pending = pendingIms;
      this.#ownBefore = this.#published.total - this.#published.since(sampledAtMs);
    }
    const own = Math.max(0, this.#published.total - this.#published.since(atMs) - this.#ownBefore);
    const workIms = this.#pending + this.#held + own / this.share;
    this.#waiting = this.#published.carryOn({ workIms, drain: this.drain, share: this.share }, atMs, nowMs);
    this.#atMs = nowMs;
  }

  /** The stream refused a frame: so much waits there, until a newer sample says otherwise. */
  full(boundIms: number, nowMs: number): void {
    this.advance(nowMs);
    this.#sampledAtMs = Math.max(this.#sampledAtMs, nowMs);
    this.#pending = boundIms;
    this.#ownBefore = this.#published.total;
    this.#waiting = Math.max(this.#waiting, boundIms);
  }

  /** The unit of cost has changed: what was counted so far means nothing. */
  reset(nowMs: number): void {
    this.#ownBefore = this.#published.total;
    this.#waiting = 0;
    this.#coming = 0;
    this.#atMs = nowMs;
  }

  tick(): void {
    this.#coming *= STILL_COMING;
    if (this.#coming < 1e-6) this.#coming = 0;
  }

  /** Call before `drain` changes, so that the past is counted at its own rate. */
  advance(nowMs: number): void {
    if (nowMs <= this.#atMs) return;
    this.#waiting = Math.max(0, this.#waiting - this.drain * (nowMs - this.#atMs));
    this.#atMs = nowMs;
  }
}
