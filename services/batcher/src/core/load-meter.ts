import { CLASSES } from '@spillway/contracts/classes';
import type { Backlog } from '@spillway/contracts/messages';

const FRAME_WEIGHT = 0.1;
const RATE_WEIGHT = 0.3;
const RATE_PERIOD_MS = 50;
/** After the last frame or batch a model still counts as one with traffic. */
const BUSY_FOR_MS = 1_000;

type OfClass = {
  frames: number;
  frameCost: number;
  pendingFrames: number;
  sampledAtMs: number;
  leftCost: number;
  costRate: number;
};

/** What comes and goes of one model, by class, in the unit of the requests' own cost. `ims` turns it into instance time. */
export class LoadMeter {
  readonly #classes: OfClass[] = CLASSES.map(() => ({
    frames: 0,
    frameCost: 1,
    pendingFrames: 0,
    sampledAtMs: Number.NEGATIVE_INFINITY,
    leftCost: 0,
    costRate: 0,
  }));
  /** Mean cost of a row; 1 until `knowsCost`. */
  costPerRow = 1;
  #ratesAtMs: number;
  #busyAtMs = Number.NEGATIVE_INFINITY;
  #frames = 0;

  constructor(nowMs: number) {
    this.#ratesAtMs = nowMs;
  }

  get knowsCost(): boolean {
    return this.#frames > 0;
  }

  /** A frame came with so many rows and so much cost. */
  came(rank: number, rows: number, cost: number, nowMs: number): void {
    this.#busyAtMs = nowMs;
    const one = this.#classes[rank];
    if (rows <= 0 || one === undefined) return;
    this.#frames += 1;
    this.costPerRow += weightOf(this.#frames) * (cost / rows - this.costPerRow);
    one.frames += 1;
    one.frameCost += weightOf(one.frames) * (cost - one.frameCost);
  }

  /** So many frames of a class wait in the stream. */
  observePending(rank: number, frames: number, nowMs: number): void {
    const one = this.#classes[rank];
    if (one === undefined) return;
    one.pendingFrames = frames;
    one.sampledAtMs = nowMs;
  }

  /** Age of what is known of the stream; Infinity: nothing is. */
  pendingAgeMs(rank: number, nowMs: number): number {
    return nowMs - (this.#classes[rank]?.sampledAtMs ?? Number.NEGATIVE_INFINITY);
  }

  /** Requests left for an instance. */
  left(rank: number, cost: number): void {
    const one = this.#classes[rank];
    if (one !== undefined) one.leftCost += cost;
  }

  tick(nowMs: number): void {
    const passedMs = nowMs - this.#ratesAtMs;
    if (passedMs < RATE_PERIOD_MS) return;
    this.#ratesAtMs = nowMs;
    const weight = 1 - (1 - RATE_WEIGHT) ** (passedMs / RATE_PERIOD_MS);
    for (const one of this.#classes) {
      if (one.leftCost > 0) this.#busyAtMs = nowMs;
      one.costRate += weight * (one.leftCost / passedMs - one.costRate);
      one.leftCost = 0;
    }
  }

  /** Of all classes together. */
  get costRate(): number {
    return this.#classes.reduce((sum, { costRate }) => sum + costRate, 0);
  }

  busy(nowMs: number): boolean {
    return nowMs - this.#busyAtMs < BUSY_FOR_MS;
  }

  /** @param held Costs held, by rank. @param ims Instance milliseconds of one unit of cost. */
  backlog(held: (rank: number) => number, ims: number, nowMs: number): Backlog[] {
    return this.#classes.map(({ frameCost, pendingFrames, sampledAtMs, costRate }, rank) => ({
      pending: pendingFrames * frameCost * ims,
      pendingAgeMs: sampledAtMs === Number.NEGATIVE_INFINITY ? -1 : nowMs - sampledAtMs,
      held: held(rank) * ims,
      rateOut: costRate * ims,
    }));
  }
}

/** A mean of the first few, then of the last ones. */
const weightOf = (count: number): number => Math.max(FRAME_WEIGHT, 1 / count);
