import { CLASSES } from '@spillway/contracts/classes';
import type { ClassRates as Reported } from '@spillway/contracts/messages';
import { HISTORY_TICKS, ticksAgo } from './ticks.ts';

const RANKS = CLASSES.length;
/** Over so long a step in traffic shows, before the moving means follow. */
export const RECENT_MS = 16;
/** Below this a rate is none: it would only fade for ever. ims per ms. */
const NOTHING = 1e-7;

/** What this gateway was offered, let in and refused of one model, by rank: ims per ms, moving means. */
export class ClassRates {
  readonly offered = new Float64Array(RANKS);
  readonly admitted = new Float64Array(RANKS);
  readonly refused = new Float64Array(RANKS);
  /** Mean cost of a request, ims; 0: none came yet. */
  readonly meanCost = new Float64Array(RANKS);
  readonly #offeredNow = new Float64Array(RANKS);
  readonly #admittedNow = new Float64Array(RANKS);
  readonly #refusedNow = new Float64Array(RANKS);
  readonly #recent = new Float64Array(RANKS);
  readonly #recentAtMs = new Float64Array(RANKS);
  readonly #history = new Float64Array(RANKS * HISTORY_TICKS);
  #tick = 0;

  onOffered(rank: number, costIms: number, nowMs: number): void {
    this.#offeredNow[rank]! += costIms;
    const passedMs = Math.max(0, nowMs - this.#recentAtMs[rank]!);
    this.#recent[rank] = this.#recent[rank]! * Math.exp(-passedMs / RECENT_MS) + costIms / RECENT_MS;
    this.#recentAtMs[rank] = nowMs;
    const mean = this.meanCost[rank]!;
    this.meanCost[rank] = mean === 0 ? costIms : mean + 0.02 * (costIms - mean);
  }

  onAdmitted(rank: number, costIms: number): void {
    this.#admittedNow[rank]! += costIms;
  }

  /** What has certainly been offered lately. */
  offeredLately(rank: number, nowMs: number): number {
    const passedMs = Math.max(0, nowMs - this.#recentAtMs[rank]!);
    return certainRate(this.#recent[rank]! * Math.exp(-passedMs / RECENT_MS), this.meanCost[rank]!);
  }

  onRefused(rank: number, costIms: number): void {
    this.#refusedNow[rank]! += costIms;
  }

  /** @param weight of the last `elapsedMs` in the moving means. */
  tick(elapsedMs: number, weight: number): void {
    this.#tick = (this.#tick + 1) % HISTORY_TICKS;
    for (let rank = 0; rank < RANKS; rank += 1) {
      this.offered[rank] = moved(this.offered[rank]!, this.#offeredNow[rank]! / elapsedMs, weight);
      this.admitted[rank] = moved(this.admitted[rank]!, this.#admittedNow[rank]! / elapsedMs, weight);
      this.refused[rank] = moved(this.refused[rank]!, this.#refusedNow[rank]! / elapsedMs, weight);
      this.#history[this.#tick * RANKS + rank] = this.offered[rank]!;
    }
    this.#offeredNow.fill(0);
    this.#admittedNow.fill(0);
    this.#refusedNow.fill(0);
  }

  /** What was offered so long ago, to be compared with what a peer said of that time. */
  offeredAt(rank: number, ageMs: number): number {
    return this.#history[((this.#tick - ticksAgo(ageMs) + HISTORY_TICKS) % HISTORY_TICKS) * RANKS + rank]!;
  }

  get quiet(): boolean {
    for (let rank = 0; rank < RANKS; rank += 1) {
      if (this.offered[rank]! > 0 || this.#offeredNow[rank]! > 0) return false;
    }
    return true;
  }

  /** The unit of cost has changed. */
  reset(): void {
    for (const list of [this.offered, this.admitted, this.refused, this.meanCost, this.#recent]) list.fill(0);
    for (const list of [this.#offeredNow, this.#admittedNow, this.#refusedNow, this.#history]) list.fill(0);
  }

  reported(): Reported[] {
    return CLASSES.map((_, rank) => ({
      offered: this.offered[rank]!,
      admitted: this.admitted[rank]!,
      refused: this.refused[rank]!,
    }));
  }
}

/** A mean over `RECENT_MS` of requests of this mean cost, less its standard deviation (that of shot noise). */
export const certainRate = (rate: number, meanCost: number): number =>
  rate - Math.sqrt((rate * meanCost) / (2 * RECENT_MS));

/** A moving mean after one more sample; a rate that has faded away becomes 0. */
export function moved(mean: number, sample: number, weight: number): number {
  const next = mean + weight * (sample - mean);
  return next < NOTHING ? 0 : next;
}
