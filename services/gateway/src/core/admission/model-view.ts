import { CLASSES } from '@spillway/contracts/classes';
import type { BatcherLoad, GatewayLoad, LoadState } from '@spillway/contracts/messages';
import { ClassQueue } from './class-queue.ts';
import { ClassRates } from './class-rates.ts';
import { ageOf, Senders } from './senders.ts';
import { ServiceTimes } from './service-times.ts';
import type { AdmissionSettings } from './settings.ts';
import { WorstOfLate } from './worst-of-late.ts';

const RANKS = CLASSES.length;
/** Weight of one tick in this gateway's share of a class. */
const SHARE_WEIGHT = 0.1;
/** A peer's report counts as fresh for so long. */
const FRESH_MS = 150;
/** A vip is not refused for what was true so long ago. */
const TRUSTED_MS = 500;
/** A model whose instances are all gone is planned with as it was for so long: it may be restarting. */
const OUTAGE_MS = 10_000;
const REFRESH_MS = 5;
const MOST_HOP_MS = 100;
const MOST_BOUND_MS = 1_000;

/** What one gateway believes about one model: what waits, what is served, who else sends. Rates in ims per ms, by rank. */
export class ModelView {
  readonly rates = new ClassRates();
  readonly times = new ServiceTimes();
  readonly queues: readonly ClassQueue[];
  readonly peers = new Senders<GatewayLoad>();
  readonly batchers = new Senders<BatcherLoad>();
  /** By all gateways. */
  readonly offered = new Float64Array(RANKS);
  readonly admitted = new Float64Array(RANKS);
  /** What higher classes leave, at least the class's floor. */
  readonly free = new Float64Array(RANKS);
  /** To reckon with; 0: nothing is known. While no instance works, what worked before. */
  capacity = 0;
  /** Share of the capacity in use, at most 1. */
  busyShare = 0;
  readonly #settings: AdmissionSettings;
  readonly #instance: string;
  readonly #roundTrip = new WorstOfLate();
  #deadlineMs: number;
  #heardMs = Number.NEGATIVE_INFINITY;
  #batcherMs = Number.NEGATIVE_INFINITY;
  #workedMs = Number.NEGATIVE_INFINITY;
  #worked = 0;
  #changed = false;
  #dividedMs = Number.NEGATIVE_INFINITY;

  constructor(options: { settings: AdmissionSettings; instance: string; deadlineMs: number; nowMs: number }) {
    this.#settings = options.settings;
    this.#instance = options.instance;
    this.#deadlineMs = options.deadlineMs;
    const corrected = !options.settings.off.includes('age');
    this.queues = CLASSES.map(() => new ClassQueue(options.nowMs, corrected));
  }

  set deadlineMs(deadlineMs: number) {
    this.#deadlineMs = deadlineMs;
  }

  get gateways(): number {
    return 1 + this.peers.live;
  }

  /** The way there and back. */
  get hopMs(): number {
    return Math.min(MOST_HOP_MS, Math.max(this.#settings.hopMs, this.#roundTrip.value + this.times.hopMs));
  }

  /** The class's share of all gateways' traffic that comes here. */
  share(rank: number): number {
    return this.queues[rank]!.share;
  }

  onLoad(state: LoadState, transitMs: number, nowMs: number): void {
    if (state.gateway && state.instance === this.#instance) {
      this.#heardMs = nowMs;
      const tookMs = nowMs - state.sentMs;
      if (tookMs >= 0 && tookMs < MOST_BOUND_MS) this.#roundTrip.observe(tookMs, nowMs);
    } else if (state.gateway) {
      if (this.peers.hear(state, state.gateway, transitMs, nowMs)) this.#heardMs = nowMs;
    } else if (state.batcher && this.batchers.hear(state, state.batcher, transitMs, nowMs)) {
      this.#heardMs = nowMs;
      this.#onBatcher(state.batcher, nowMs - transitMs, nowMs);
    }
  }

  /** Since anything was heard about the model. */
  silentMs(nowMs: number): number {
    return nowMs - this.#heardMs;
  }

  /** Whether what is believed is too old to refuse a vip for. */
  isStale(nowMs: number): boolean {
    return this.batchers.live === 0 || nowMs - this.#batcherMs > TRUSTED_MS;
  }

  /** What is left for each class changes with a step in traffic faster than moving means do. */
  refresh(nowMs: number): void {
    if (nowMs - this.#dividedMs >= REFRESH_MS) this.#divide(nowMs);
  }

  /** Work in front of a new request of this class, in ms. @param ownShare Of its own class's, what goes before it. */
  queueMs(rank: number, nowMs: number, ownShare = 1): number {
    let ahead = 0;
    for (let higher = 0; higher < rank; higher += 1) ahead += this.queues[higher]!.aheadIms(nowMs);
    const own = ownShare * this.queues[rank]!.aheadIms(nowMs);
    const floor = this.#settings.floor[rank]! * this.capacity;
    const inLine = (ahead + own) / this.free[rank]!;
    // A class with a floor does not stand behind everybody: its floor moves on whatever the others do.
    return floor > 0 ? Math.min(inLine, own / floor) : inLine;
  }

  /** Work of one class that may wait, ims: what can be done in time, and never less than two batches. */
  boundIms(rank: number): number {
    const usableMs = Math.min(MOST_BOUND_MS, this.#settings.budgetShare[rank]! * this.#deadlineMs);
    return Math.max(usableMs, 2 * this.times.runMs('', this.times.operatingRows)) * this.capacity;
  }

  tick(tick: { elapsedMs: number; weight: number; nowMs: number }): void {
    this.rates.tick(tick.elapsedMs, tick.weight);
    if (this.batchers.prune(this.#heardMs)) this.#changed = true;
    this.peers.prune(this.#heardMs);
    for (const queue of this.queues) queue.tick();
    if (this.#changed) this.times.update(this.batchers.all);
    this.#changed = false;
    this.#sumUp(tick.nowMs);
  }

  #onBatcher({ backlog }: BatcherLoad, atMs: number, nowMs: number): void {
    this.#batcherMs = atMs;
    this.#changed = true;
    if (!this.times.known) {
      this.rates.reset(); // until now costs were guessed
      for (const queue of this.queues) queue.reset(nowMs);
      this.times.update(this.batchers.all);
      this.#sumUp(nowMs);
    } else this.#divide(nowMs);
    for (let rank = 0; rank < RANKS; rank += 1) {
      const { pending = 0, pendingAgeMs = -1 } = backlog[rank] ?? {};
      let heldIms = 0;
      for (const batcher of this.batchers.all) if (batcher.live) heldIms += batcher.load.backlog[rank]?.held ?? 0;
      const sampledAtMs = pendingAgeMs < 0 ? Number.NaN : atMs - pendingAgeMs;
      this.queues[rank]!.observe({ pendingIms: pending, sampledAtMs, heldIms, atMs }, nowMs);
    }
  }

  /** Shares, rates of the fleet, capacity, and what is left of it for each class. */
  #sumUp(nowMs: number): void {
    const working = this.times.capacity;
    if (working > 0) {
      this.#worked = working;
      this.#workedMs = nowMs;
    }
    this.capacity = nowMs - this.#workedMs < OUTAGE_MS ? this.#worked : 0;
    for (let rank = 0; rank < RANKS; rank += 1) this.#sumClass(rank, nowMs);
    this.#divide(nowMs);
  }

  #divide(nowMs: number): void {
    this.#dividedMs = nowMs;
    const works = this.times.capacity > 0;
    let left = this.capacity;
    for (let rank = 0; rank < RANKS; rank += 1) {
      const queue = this.queues[rank]!;
      queue.advance(nowMs);
      this.free[rank] = Math.max(left, this.#settings.floor[rank]! * this.capacity, 1e-3 * this.capacity);
      queue.drain = works ? this.free[rank]! : 0;
      const lately = this.rates.offeredLately(rank, nowMs) / queue.share;
      left = Math.max(0, left - Math.max(this.admitted[rank]!, Math.min(lately, left)));
    }
    this.busyShare = this.capacity > 0 ? Math.min(1, Math.max(0, 1 - left / this.capacity)) : 0;
  }

  #sumClass(rank: number, nowMs: number): void {
    const { rates, peers } = this;
    let offered = rates.offered[rank]!;
    let admitted = rates.admitted[rank]!;
    let theirs = 0;
    let ownThen = 0;
    let oldestMs = 0;
    for (const peer of peers.all) {
      const told = peer.live ? peer.load.rates[rank] : undefined;
      if (told === undefined) continue;
      const ageMs = ageOf(peer, nowMs);
      oldestMs = Math.max(oldestMs, ageMs);
      offered += told.offered;
      admitted += told.admitted;
      theirs += told.offered;
      // Own and theirs of the same time: else, when traffic rises, each gateway would believe that most of it comes to itself.
      ownThen += rates.offeredAt(rank, ageMs) / peers.live;
    }
    const queue = this.queues[rank]!;
    if (peers.live === 0) queue.share = 1;
    else if (ownThen + theirs > 0) {
      const share = Math.min(1, Math.max(0.5 / this.gateways, ownThen / (ownThen + theirs)));
      queue.share += (queue.share === 1 ? 1 : SHARE_WEIGHT) * (share - queue.share);
    }
    this.offered[rank] = offered;
    this.admitted[rank] = oldestMs <= FRESH_MS ? admitted : rates.admitted[rank]! / queue.share;
  }
}
