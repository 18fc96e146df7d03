import type { Lever } from '@spillway/contracts/buckets';
import { classRank } from '@spillway/contracts/classes';
import { TokenBucket } from './token-bucket.ts';

const BURST_MS = 1_000;

type Scope = { rank: number | undefined; model: string | undefined; tenant: string | undefined; untilMs: number };
type Brake = Scope & { id: string; rate: number | undefined; share: number; bucket: TokenBucket | undefined };
type Degrade = Scope & { to: string };

const matches = (scope: Scope, model: string, rank: number, tenant: string, nowMs: number): boolean =>
  nowMs < scope.untilMs &&
  (scope.rank === undefined || scope.rank === rank) &&
  (scope.model === undefined || scope.model === model) &&
  (scope.tenant === undefined || scope.tenant === tenant);

/** What people on call have pulled. A lever past its end has no effect, whoever removes it. */
export class Levers {
  /** Known from the headers alone: neither model nor tenant. */
  #atDoor: readonly Brake[] = [];
  #inside: readonly Brake[] = [];
  #degrades: readonly Degrade[] = [];
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** @param epochMs The wall clock at `nowMs`: ends are converted once, so a step of it moves none. */
  set(levers: readonly Lever[], epochMs: number, nowMs: number): void {
    const before = new Map([...this.#atDoor, ...this.#inside].map((brake) => [brake.id, brake]));
    const brakes: Brake[] = [];
    const degrades: Degrade[] = [];
    for (const lever of levers) {
      const scope = {
        rank: lever.class === undefined ? undefined : classRank(lever.class),
        model: lever.model,
        tenant: lever.tenant,
        untilMs: nowMs + lever.expiresAt - epochMs,
      };
      if (lever.kind === 'degrade') {
        degrades.push({ ...scope, to: lever.to });
        continue;
      }
      const { id, rate, share = 1 } = lever;
      const known = before.get(id);
      const perMs = (rate ?? 0) / 1_000;
      const bucket = known?.rate === rate ? known?.bucket : undefined;
      const made = rate === undefined ? undefined : new TokenBucket({ perMs, burst: perMs * BURST_MS, nowMs });
      brakes.push({ ...scope, id, rate, share, bucket: bucket ?? made });
    }
    this.#atDoor = brakes.filter(({ model, tenant }) => model === undefined && tenant === undefined);
    this.#inside = brakes.filter((brake) => !this.#atDoor.includes(brake));
    this.#degrades = degrades;
  }

  get none(): boolean {
    return this.#inside.length === 0 && this.#degrades.length === 0;
  }

  /** @param share of the class's requests that come to this gateway: a brake's rate is for all of them. */
  allowsAtDoor(rank: number, share: number, nowMs: number): boolean {
    return this.#allows(this.#atDoor, '', rank, '', share, nowMs);
  }

  allows(model: string, rank: number, tenant: string, share: number, nowMs: number): boolean {
    return this.#allows(this.#inside, model, rank, tenant, share, nowMs);
  }

  /** The variant that everybody in the lever's scope gets; undefined: no lever says so. */
  variantOf(model: string, rank: number, tenant: string, nowMs: number): string | undefined {
    return this.#degrades.find((degrade) => matches(degrade, model, rank, tenant, nowMs))?.to;
  }

  #allows(
    brakes: readonly Brake[],
    model: string,
    rank: number,
    tenant: string,
    share: number,
    nowMs: number,
  ): boolean {
    for (const brake of brakes) {
      if (!matches(brake, model, rank, tenant, nowMs)) continue;
      if (brake.share < 1 && this.#random() >= brake.share) return false;
      if (brake.bucket === undefined) continue;
      brake.bucket.setShare(share, nowMs);
      if (!brake.bucket.hasAny(nowMs)) return false;
      brake.bucket.take(1);
    }
    return true;
  }
}
