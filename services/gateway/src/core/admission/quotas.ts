import type { KeyRecord } from '@spillway/contracts/buckets';
import { CLASSES } from '@spillway/contracts/classes';
import type { GatewayLoad, LoadState } from '@spillway/contracts/messages';
import { ClassRates } from './class-rates.ts';
import { KeyQuota } from './key-quota.ts';
import { ageOf, Senders } from './senders.ts';

/** What gateways tell each other of keys travels as the load of a model of this name. */
export const KEYS_TOPIC = '__keys__';

/** Keys in one message: those nearest to their quota. */
const MOST_TOLD = 64;
/** A key far below its quota needs no shares. */
const TELL_FROM = 0.1;

/** G2: what each key may use at all gateways together, and what they tell each other for it. */
export class Quotas {
  readonly #keys = new Map<string, KeyQuota>();
  readonly #byHash = new Map<number, KeyQuota>();
  readonly #peers = new Senders<GatewayLoad>();
  readonly #instance: string;
  /** Requests at the doors, by rank, per ms. */
  readonly #door = new ClassRates();
  readonly #doorShare = CLASSES.map(() => 1);
  readonly #theirs = new Map<KeyQuota, { offered: number; ownThen: number; tellers: number }>();
  #heardMs = Number.NEGATIVE_INFINITY;

  constructor(instance: string) {
    this.#instance = instance;
  }

  set(record: KeyRecord, nowMs: number): void {
    this.remove(record.id);
    if (record.quota?.costPerSecond === undefined && record.quota?.requestsPerSecond === undefined) return;
    const key = new KeyQuota(record, 1 / (1 + this.#peers.live), nowMs);
    this.#keys.set(record.id, key);
    this.#byHash.set(key.hash, key);
  }

  remove(id: string): void {
    const key = this.#keys.get(id);
    if (key === undefined) return;
    this.#keys.delete(id);
    this.#byHash.delete(key.hash);
  }

  /** Undefined: the key has no quota. */
  get(id: string): KeyQuota | undefined {
    return id === '' ? undefined : this.#keys.get(id);
  }

  onDoor(rank: number, nowMs: number): void {
    this.#door.onOffered(rank, 1, nowMs);
  }

  /** This gateway's share of all requests of a class. */
  doorShare(rank: number): number {
    return this.#doorShare[rank]!;
  }

  get quiet(): boolean {
    return this.#door.quiet;
  }

  onLoad(state: LoadState, transitMs: number, nowMs: number): void {
    if (!state.gateway) return;
    if (state.instance === this.#instance) this.#heardMs = nowMs;
    else if (this.#peers.hear(state, state.gateway, transitMs, nowMs)) this.#heardMs = nowMs;
  }

  tick(tick: { elapsedMs: number; weight: number; nowMs: number }): void {
    this.#door.tick(tick.elapsedMs, tick.weight);
    this.#peers.prune(this.#heardMs);
    this.#theirs.clear();
    for (const peer of this.#peers.all) {
      if (!peer.live) continue;
      const ageMs = ageOf(peer, tick.nowMs);
      for (const { tenant, offered } of peer.load.tenants) {
        const key = this.#byHash.get(tenant);
        if (key === undefined) continue;
        const sum = this.#theirs.get(key) ?? { offered: 0, ownThen: 0, tellers: 0 };
        sum.offered += offered;
        sum.ownThen += key.offeredAt(ageMs);
        sum.tellers += 1;
        this.#theirs.set(key, sum);
      }
    }
    const gateways = 1 + this.#peers.live;
    for (const key of this.#keys.values()) {
      const sum = this.#theirs.get(key);
      if (sum === undefined) key.tick(tick, 0, key.offered, gateways);
      else key.tick(tick, sum.offered, sum.ownThen / sum.tellers, gateways);
    }
    this.#shareDoors(tick.nowMs);
  }

  /** To be published as the load of `KEYS_TOPIC`: the rates count requests, and tenants are keys. */
  load(): GatewayLoad {
    const told = [...this.#keys.values()].filter((key) => key.offered > 0 && key.pressure > TELL_FROM);
    if (told.length > MOST_TOLD) {
      told.sort((a, b) => b.pressure - a.pressure);
      told.length = MOST_TOLD;
    }
    const tenants = told.map(({ hash, rank, offered }) => ({ tenant: hash, rank, offered }));
    return { rates: this.#door.reported(), guard: 1, tenants, rest: [] };
  }

  #shareDoors(nowMs: number): void {
    for (let rank = 0; rank < CLASSES.length; rank += 1) {
      let theirs = 0;
      let ownThen = 0;
      for (const peer of this.#peers.all) {
        if (!peer.live) continue;
        theirs += peer.load.rates[rank]?.offered ?? 0;
        ownThen += this.#door.offeredAt(rank, ageOf(peer, nowMs)) / this.#peers.live;
      }
      if (this.#peers.live === 0) this.#doorShare[rank] = 1;
      else if (ownThen + theirs > 0) {
        const share = Math.max(0.05 / (1 + this.#peers.live), ownThen / (ownThen + theirs));
        this.#doorShare[rank]! += 0.1 * (share - this.#doorShare[rank]!);
      }
    }
  }
}
