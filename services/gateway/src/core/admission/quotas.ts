import type { KeyRecord } from '@spillway/contracts/buckets';
import { CLASSES } from '@spillway/contracts/classes';
import { familyOf } from '@spillway/contracts/keys';
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

/** `quota` is what all of its keys draw on; undefined: they have none. */
type Family = { records: Map<string, KeyRecord>; quota: KeyQuota | undefined };

/** G2: what each key may use at all gateways together, and what they tell each other for it. */
export class Quotas {
  readonly #keys = new Map<string, KeyQuota>();
  readonly #families = new Map<string, Family>();
  /** By key. */
  readonly #familyNames = new Map<string, string>();
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
    const name = familyOf(record);
    if (this.#familyNames.get(record.id) !== name) this.remove(record.id, nowMs);
    const family = this.#families.get(name) ?? { records: new Map(), quota: undefined };
    this.#familyNames.set(record.id, name);
    this.#families.set(name, family);
    family.records.set(record.id, record);
    this.#settle(name, family, nowMs);
  }

  remove(id: string, nowMs: number): void {
    const name = this.#familyNames.get(id);
    const family = name === undefined ? undefined : this.#families.get(name);
    if (name === undefined || family === undefined) return;
    this.#familyNames.delete(id);
    this.#keys.delete(id);
    family.records.delete(id);
    this.#settle(name, family, nowMs);
  }

  /** The newest record says what the quota is; as long as it says the same, what was used of it stays used. */
  #settle(name: string, family: Family, nowMs: number): void {
    const before = family.quota;
    const head = newest(family.records.values());
    if (head === undefined) this.#families.delete(name);
    if (head === undefined || !hasQuota(head)) family.quota = undefined;
    else if (before?.isOf(head) !== true) family.quota = new KeyQuota(name, head, 1 / (1 + this.#peers.live), nowMs);
    if (before !== undefined && before !== family.quota) this.#byHash.delete(before.hash);
    if (family.quota !== undefined) this.#byHash.set(family.quota.hash, family.quota);
    for (const id of family.records.keys()) {
      if (family.quota === undefined) this.#keys.delete(id);
      else this.#keys.set(id, family.quota);
    }
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
    for (const key of this.#byHash.values()) {
      const sum = this.#theirs.get(key);
      if (sum === undefined) key.tick(tick, 0, key.offered, gateways);
      else key.tick(tick, sum.offered, sum.ownThen / sum.tellers, gateways);
    }
    this.#shareDoors(tick.nowMs);
  }

  /** To be published as the load of `KEYS_TOPIC`: the rates count requests, and tenants are keys. */
  load(): GatewayLoad {
    const told = [...this.#byHash.values()].filter((key) => key.offered > 0 && key.pressure > TELL_FROM);
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

const hasQuota = ({ quota }: KeyRecord): boolean =>
  quota?.costPerSecond !== undefined || quota?.requestsPerSecond !== undefined;

/** The same at every gateway, whatever the order in which the records came. */
const newest = (records: Iterable<KeyRecord>): KeyRecord | undefined =>
  [...records].sort((a, b) => (b.createdAt ?? 0) - (a.createdAt ?? 0) || (a.id < b.id ? 1 : -1))[0];
