import type { KeyRecord } from '@spillway/contracts/buckets';
import { classRank } from '@spillway/contracts/classes';
import { moved } from './class-rates.ts';
import { nextSlot } from './retry-after.ts';
import { tenantHash } from './tenant-hash.ts';
import { HISTORY_TICKS, ticksAgo } from './ticks.ts';
import { TokenBucket } from './token-bucket.ts';

/** What a key that was idle may use at once. */
const BURST_MS = 2_000;
const SHARE_WEIGHT = 0.1;
const LOWEST_RANK = 2;

/** What its headers say of a quota: what an idle key may use at once, what is left of that, and when all of it is there again. */
export type QuotaState = { limit: number; remaining: number; resetMs: number };

/** The quota of one family of keys at one gateway, which refills it by its share of their traffic. */
export class KeyQuota {
  readonly hash: number;
  readonly rank: number;
  readonly lowers: boolean;
  /** Requests that want to use the quota, per ms, moving mean. */
  offered = 0;
  share: number;
  readonly #of: KeyRecord;
  readonly #cost: TokenBucket | undefined;
  readonly #requests: TokenBucket | undefined;
  readonly #history = new Float32Array(HISTORY_TICKS);
  #arrived = 0;
  #tick = 0;
  #meanCost = 0;
  #slotMs = Number.NEGATIVE_INFINITY;

  /** @param share of the family's traffic to begin with. */
  constructor(family: string, record: KeyRecord, share: number, nowMs: number) {
    const { class: trafficClass, quota, overQuota } = record;
    this.#of = record;
    this.hash = tenantHash(family);
    this.rank = classRank(trafficClass);
    this.lowers = overQuota === 'lower' && this.rank < LOWEST_RANK;
    this.share = share;
    const bucket = (perSecond: number | undefined): TokenBucket | undefined => {
      if (perSecond === undefined) return undefined;
      const perMs = perSecond / 1_000;
      const made = new TokenBucket({ perMs, burst: perMs * BURST_MS, nowMs });
      made.setShare(share, nowMs);
      return made;
    };
    this.#cost = bucket(quota?.costPerSecond);
    this.#requests = bucket(quota?.requestsPerSecond);
  }

  /** Whether this record would make the same quota. */
  isOf({ class: trafficClass, quota, overQuota }: KeyRecord): boolean {
    const own = this.#of;
    return (
      own.class === trafficClass &&
      own.overQuota === overQuota &&
      own.quota?.costPerSecond === quota?.costPerSecond &&
      own.quota?.requestsPerSecond === quota?.requestsPerSecond
    );
  }

  /** Undefined: requests are not counted. */
  requests(nowMs: number): QuotaState | undefined {
    return this.#requests?.state(nowMs);
  }

  /** In ms of a model instance. Undefined: cost is not counted. */
  cost(nowMs: number): QuotaState | undefined {
    return this.#cost?.state(nowMs);
  }

  onOffered(): void {
    this.#arrived += 1;
  }

  isUsedUp(nowMs: number): boolean {
    return this.#cost?.hasAny(nowMs) === false || this.#requests?.hasAny(nowMs) === false;
  }

  /** The class that a request of this one goes on in once the quota is used up, if it `lowers`. */
  lowered(rank: number): number {
    return Math.min(LOWEST_RANK, Math.max(rank, this.rank + 1));
  }

  charge(costIms: number): void {
    this.#cost?.take(costIms);
    this.#requests?.take(1);
    this.#meanCost = this.#meanCost === 0 ? costIms : this.#meanCost + 0.02 * (costIms - this.#meanCost);
  }

  /** What was charged for it did not happen. */
  giveBack(costIms: number): void {
    this.#cost?.take(-costIms);
    this.#requests?.take(-1);
  }

  /** When the next request that is refused now would find tokens. */
  nextFreeMs(nowMs: number): number {
    const earliestMs =
      nowMs + Math.max(this.#cost?.waitMs(this.#meanCost, nowMs) ?? 0, this.#requests?.waitMs(1, nowMs) ?? 0);
    const byCost = this.#cost === undefined || this.#meanCost === 0 ? 0 : this.#meanCost / this.#cost.perMs;
    const byRequests = this.#requests === undefined ? 0 : 1 / this.#requests.perMs;
    const everyMs = Math.max(byCost, byRequests);
    this.#slotMs = nextSlot(Math.max(this.#slotMs, earliestMs - everyMs), 1, 1 / Math.max(1e-3, everyMs), nowMs);
    return this.#slotMs;
  }

  /** @param theirs What peers offered of the key, and `ownThen` what came here at the time they speak of; 0 and 0: unknown. */
  tick(
    tick: { elapsedMs: number; weight: number; nowMs: number },
    theirs: number,
    ownThen: number,
    gateways: number,
  ): void {
    this.#tick = (this.#tick + 1) & (HISTORY_TICKS - 1);
    this.offered = moved(this.offered, this.#arrived / tick.elapsedMs, tick.weight);
    this.#history[this.#tick] = this.offered;
    this.#arrived = 0;
    if (ownThen + theirs > 0) {
      const share = Math.max(0.05 / gateways, ownThen / (ownThen + theirs));
      this.share += SHARE_WEIGHT * (share - this.share);
    } else if (gateways === 1) this.share = 1;
    this.#cost?.setShare(this.share, tick.nowMs);
    this.#requests?.setShare(this.share, tick.nowMs);
  }

  offeredAt(ageMs: number): number {
    return this.#history[(this.#tick - ticksAgo(ageMs)) & (HISTORY_TICKS - 1)]!;
  }

  /** Demand over the quota's rate: what decides which keys are worth telling peers of. */
  get pressure(): number {
    const byRequests = this.#requests === undefined ? 0 : this.offered / Math.max(1e-9, this.#requests.perMs);
    const byCost = this.#cost === undefined ? 0 : (this.offered * this.#meanCost) / Math.max(1e-9, this.#cost.perMs);
    return Math.max(byRequests, byCost);
  }
}
