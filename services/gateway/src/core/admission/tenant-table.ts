import { certainRate, moved, RECENT_MS } from './class-rates.ts';
import { tenantHash } from './tenant-hash.ts';
import { HISTORY_TICKS, ticksAgo } from './ticks.ts';

const FIRST_SLOTS = 32;
/** Tenants of one class and model that are told apart; beyond it some share a slot, and with it one fair rate. */
const MOST_SLOTS = 4_096;
/** A tenant that sent nothing for so many ticks (30 s) and owes nothing is forgotten. */
const FORGET_TICKS = 600;

/** A column of numbers, one for each slot. */
type Column = Float64Array<ArrayBuffer>;

/**
 * What is known of each tenant of one class and model, in columns: an update of a thousand tenants is a few passes over
 * arrays. Slots are dense, 0 to count − 1; a slot's number is valid until the next tick.
 */
export class TenantTable {
  count = 0;
  readonly names: string[] = [];
  hash: Column = new Float64Array(FIRST_SLOTS);
  weight: Column = new Float64Array(FIRST_SLOTS);
  /** Offered here: ims per ms, moving mean. */
  offered: Column = new Float64Array(FIRST_SLOTS);
  /** This gateway's share of what the tenant offers to all. */
  share: Column = new Float64Array(FIRST_SLOTS);
  /** Virtual finish time of its last request; NaN: none is remembered. */
  finish: Column = new Float64Array(FIRST_SLOTS);
  /** Time of the next slot of its fair rate that is not promised to a refused request yet. */
  hintAt: Column = new Float64Array(FIRST_SLOTS);
  #arrived: Column = new Float64Array(FIRST_SLOTS);
  #recent: Column = new Float64Array(FIRST_SLOTS);
  #recentAt: Column = new Float64Array(FIRST_SLOTS);
  #idleTicks: Column = new Float64Array(FIRST_SLOTS);
  #history: Column = new Float64Array(FIRST_SLOTS * HISTORY_TICKS);
  #tick = 0;
  readonly #byName = new Map<string, number>();
  readonly #byHash = new Map<number, number>();

  /** The slot of a tenant, a new one if it has none. @param share of a new tenant's traffic that comes here. */
  slotOf(name: string, weight: number, share: number): number {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const hash = tenantHash(name);
    if (this.count === MOST_SLOTS) return hash % MOST_SLOTS;
    if (this.count === this.hash.length) this.#grow();
    const slot = this.count;
    this.count += 1;
    this.names[slot] = name;
    this.hash[slot] = hash;
    this.weight[slot] = weight;
    this.share[slot] = share;
    this.finish[slot] = Number.NaN;
    for (const column of [this.offered, this.hintAt, this.#arrived, this.#recent, this.#recentAt, this.#idleTicks])
      column[slot] = 0;
    this.#history.fill(0, slot * HISTORY_TICKS, (slot + 1) * HISTORY_TICKS);
    this.#byName.set(name, slot);
    this.#byHash.set(hash, slot);
    return slot;
  }

  /** Undefined: the tenant sends nothing here. */
  slotOfHash(hash: number): number | undefined {
    return this.#byHash.get(hash);
  }

  onOffered(slot: number, costIms: number, nowMs: number): void {
    this.#arrived[slot]! += costIms;
    const passedMs = Math.max(0, nowMs - this.#recentAt[slot]!);
    this.#recent[slot] = this.#recent[slot]! * Math.exp(-passedMs / RECENT_MS) + costIms / RECENT_MS;
    this.#recentAt[slot] = nowMs;
  }

  /** What a tenant wants here: its moving mean, or what it has certainly sent lately, so that a step shows at once. */
  wanted(slot: number, meanCost: number, nowMs: number): number {
    const passedMs = nowMs - this.#recentAt[slot]!;
    if (passedMs > 2 * RECENT_MS) return this.offered[slot]!;
    const lately = this.#recent[slot]! * Math.exp(-Math.max(0, passedMs) / RECENT_MS);
    return Math.max(this.offered[slot]!, certainRate(lately, meanCost));
  }

  /** What the tenant offered so long ago, to be compared with what a peer said of that time. */
  offeredAt(slot: number, ageMs: number): number {
    return this.#history[slot * HISTORY_TICKS + ((this.#tick - ticksAgo(ageMs)) & (HISTORY_TICKS - 1))]!;
  }

  /** @param owesAfter Virtual time before which a finish is no debt any more. */
  tick(elapsedMs: number, weight: number, owesAfter: number, nowMs: number): void {
    this.#tick = (this.#tick + 1) & (HISTORY_TICKS - 1);
    for (let slot = this.count - 1; slot >= 0; slot -= 1) {
      const arrived = this.#arrived[slot]!;
      this.offered[slot] = moved(this.offered[slot]!, arrived / elapsedMs, weight);
      this.#history[slot * HISTORY_TICKS + this.#tick] = this.offered[slot]!;
      this.#arrived[slot] = 0;
      this.#idleTicks[slot] = arrived > 0 ? 0 : this.#idleTicks[slot]! + 1;
      const owes = this.finish[slot]! > owesAfter || this.hintAt[slot]! > nowMs;
      if (this.#idleTicks[slot]! > FORGET_TICKS && !owes) this.#remove(slot);
    }
  }

  /** The unit of cost has changed. */
  clear(): void {
    this.count = 0;
    this.names.length = 0;
    this.#byName.clear();
    this.#byHash.clear();
  }

  /** The last slot takes the place of the removed one. */
  #remove(slot: number): void {
    const last = this.count - 1;
    this.#byName.delete(this.names[slot]!);
    this.#byHash.delete(this.hash[slot]!);
    if (slot !== last) {
      for (const column of this.#columns()) column[slot] = column[last]!;
      this.#history.copyWithin(slot * HISTORY_TICKS, last * HISTORY_TICKS, (last + 1) * HISTORY_TICKS);
      this.names[slot] = this.names[last]!;
      this.#byName.set(this.names[slot]!, slot);
      this.#byHash.set(this.hash[slot]!, slot);
    }
    this.names.length = last;
    this.count = last;
  }

  #columns(): Column[] {
    return [
      this.hash,
      this.weight,
      this.offered,
      this.share,
      this.finish,
      this.hintAt,
      this.#arrived,
      this.#recent,
      this.#recentAt,
      this.#idleTicks,
    ];
  }

  #grow(): void {
    const longer = (column: Column): Column => {
      const copy = new Float64Array(column.length * 2);
      copy.set(column);
      return copy;
    };
    this.hash = longer(this.hash);
    this.weight = longer(this.weight);
    this.offered = longer(this.offered);
    this.share = longer(this.share);
    this.finish = longer(this.finish);
    this.hintAt = longer(this.hintAt);
    this.#arrived = longer(this.#arrived);
    this.#recent = longer(this.#recent);
    this.#recentAt = longer(this.#recentAt);
    this.#idleTicks = longer(this.#idleTicks);
    this.#history = longer(this.#history);
  }
}
