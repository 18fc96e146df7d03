import type { KeyRecord } from '@spillway/contracts/buckets';
import { classRank } from '@spillway/contracts/classes';
import { familyOf } from '@spillway/contracts/keys';
import { tenantHash } from './tenant-hash.ts';

type Weights = { plain: number; vip: number };

/**
 * Weights of tenants beside others of their class: the largest of their keys'. Among vips it is what their quotas promise, so
 * that they share by it when capacity falls below the sum of the promises; one without a quota counts as one instance.
 */
export class TenantWeights {
  readonly #keys = new Map<string, KeyRecord>();
  readonly #byTenant = new Map<string, Weights>();
  readonly #byHash = new Map<number, Weights>();

  set(record: KeyRecord): void {
    const before = this.#keys.get(record.id);
    this.#keys.set(record.id, record);
    if (before !== undefined && before.tenant !== record.tenant) this.#sumUp(before.tenant);
    this.#sumUp(record.tenant);
  }

  remove(id: string): void {
    const before = this.#keys.get(id);
    this.#keys.delete(id);
    if (before !== undefined) this.#sumUp(before.tenant);
  }

  of(rank: number, tenant: string): number {
    const weights = this.#byTenant.get(tenant);
    return weights === undefined ? 1 : rank === 0 ? weights.vip : weights.plain;
  }

  ofHash(rank: number, hash: number): number {
    const weights = this.#byHash.get(hash);
    return weights === undefined ? 1 : rank === 0 ? weights.vip : weights.plain;
  }

  #sumUp(tenant: string): void {
    let plain = 0;
    const vips = new Map<string, number>(); // by family: two keys with one quota are one promise
    for (const record of this.#keys.values()) {
      const { weight = 1, quota } = record;
      if (record.tenant !== tenant || !(weight > 0)) continue;
      plain = Math.max(plain, weight);
      if (classRank(record.class) > 0) continue;
      const family = familyOf(record);
      const promised = weight * ((quota?.costPerSecond ?? 1_000) / 1_000);
      vips.set(family, Math.max(vips.get(family) ?? 0, promised));
    }
    const vip = vips.values().reduce((sum, promised) => sum + promised, 0);
    const hash = tenantHash(tenant);
    if (plain === 0) {
      this.#byTenant.delete(tenant);
      this.#byHash.delete(hash);
      return;
    }
    const weights = { plain, vip: vip > 0 ? vip : plain };
    this.#byTenant.set(tenant, weights);
    this.#byHash.set(hash, weights);
  }
}
