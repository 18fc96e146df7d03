import type { GatewayLoad } from '@spillway/contracts/messages';
import { ageOf, type Sender } from './senders.ts';
import type { TenantTable } from './tenant-table.ts';
import type { TenantWeights } from './tenant-weights.ts';
import type { Demands } from './water-filling.ts';

/** Weight of one tick in a tenant's share. */
const SHARE_WEIGHT = 0.1;

export type Fleet = {
  rank: number;
  /** The other gateways. */
  peers: readonly Sender<GatewayLoad>[];
  /** This gateway's share of the class, for what peers do not tell. */
  share: number;
  /** Of a request of the class, ims. */
  meanCost: number;
  weights: TenantWeights;
  nowMs: number;
};

/** A gateway tells its tenants of a class while that is congested. */
const tells = ({ live, load }: Sender<GatewayLoad>, rank: number): boolean =>
  live && ((load.rest[rank]?.count ?? 0) > 0 || load.tenants.some((tenant) => tenant.rank === rank));

/**
 * What all tenants of one class and model offer to all gateways together, as far as the gateways tell. A tenant that a peer
 * does not name is counted as if it sent nothing there, and has its whole fair rate here: what it has beyond that at the
 * peer stands in the peer's rest, so the sum still fits.
 */
export class FleetDemand implements Demands {
  demand = new Float64Array(64);
  weight = new Float64Array(64);
  count = 0;
  /** Share of the fleet's demand that is listed; what is not told is taken to be spread in the same way. */
  told = 1;
  /** Sum of the lists by moving means alone. */
  mean = 0;
  #peerOffers = new Float64Array(64);
  #ownThen = new Float64Array(64);
  #tellers = new Float64Array(64);
  readonly #foreign = new Map<number, number>();

  /** Also moves each tenant's share in the table. O(tenants + peers · 32). */
  collect(table: TenantTable, fleet: Fleet): void {
    const { rank, peers } = fleet;
    this.#makeRoom(table.count);
    this.#foreign.clear();
    let live = 0;
    let telling = 0;
    for (const peer of peers) {
      if (!peer.live) continue;
      live += 1;
      if (!tells(peer, rank)) continue;
      telling += 1;
      this.#hear(peer, table, fleet);
    }
    this.count = 0;
    let own = 0;
    let ownMean = 0;
    for (let slot = 0; slot < table.count; slot += 1) {
      const wanted = table.wanted(slot, fleet.meanCost, fleet.nowMs);
      own += wanted;
      ownMean += table.offered[slot]!;
      this.#push(wanted + this.#peerOffers[slot]!, table.weight[slot]!);
      this.#moveShare(table, slot, live + 1);
    }
    for (const [hash, offered] of this.#foreign) this.#push(offered, fleet.weights.ofHash(rank, hash));
    for (const peer of peers) {
      const rest = tells(peer, rank) ? peer.load.rest[rank] : undefined;
      if (rest !== undefined && rest.count > 0) this.#push(rest.offered, rest.count);
    }
    const listed = this.total;
    this.mean = listed - own + ownMean;
    this.told = telling === live || !(listed > 0) ? 1 : listed / Math.max(listed, own / fleet.share);
  }

  /** Sum of the lists. */
  get total(): number {
    let total = 0;
    for (let i = 0; i < this.count; i += 1) total += this.demand[i]!;
    return total;
  }

  #hear(peer: Sender<GatewayLoad>, table: TenantTable, { rank, nowMs }: Fleet): void {
    const ageMs = ageOf(peer, nowMs);
    for (const { tenant, rank: its, offered } of peer.load.tenants) {
      if (its !== rank || !(offered > 0)) continue;
      const slot = table.slotOfHash(tenant);
      if (slot === undefined) {
        this.#foreign.set(tenant, (this.#foreign.get(tenant) ?? 0) + offered);
        continue;
      }
      this.#peerOffers[slot]! += offered;
      this.#ownThen[slot]! += table.offeredAt(slot, ageMs);
      this.#tellers[slot]! += 1;
    }
  }

  /** Both sides of the ratio are of the same time: else a delayed report would make every gateway believe that it is alone. */
  #moveShare(table: TenantTable, slot: number, gateways: number): void {
    const theirs = this.#peerOffers[slot]!;
    if (theirs === 0) {
      table.share[slot] = 1;
      return;
    }
    const own = this.#ownThen[slot]! / this.#tellers[slot]!;
    const share = Math.max(0.5 / gateways, own / (own + theirs));
    const before = table.share[slot]!;
    table.share[slot] = before === 1 ? share : before + SHARE_WEIGHT * (share - before);
  }

  #push(demand: number, weight: number): void {
    if (this.count === this.demand.length) {
      this.demand = longer(this.demand, this.count * 2);
      this.weight = longer(this.weight, this.count * 2);
    }
    this.demand[this.count] = demand;
    this.weight[this.count] = weight;
    this.count += 1;
  }

  #makeRoom(slots: number): void {
    if (this.#peerOffers.length < slots) {
      this.#peerOffers = new Float64Array(slots * 2);
      this.#ownThen = new Float64Array(slots * 2);
      this.#tellers = new Float64Array(slots * 2);
      return;
    }
    this.#peerOffers.fill(0);
    this.#ownThen.fill(0);
    this.#tellers.fill(0);
  }
}

function longer(list: Float64Array<ArrayBuffer>, length: number): Float64Array<ArrayBuffer> {
  const copy = new Float64Array(length);
  copy.set(list);
  return copy;
}
