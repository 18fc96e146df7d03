import type { KeyRecord } from './buckets.ts';
import { familyOf } from './keys.ts';

/** Share of what is left without the largest worker that may be promised to vip keys; the rest absorbs errors of prediction. */
export const VIP_SHARE = 0.8;

/** What a model can do: `capacity` in ims per ms (instances kept busy), `workers` processes that share it. */
export type ModelCapacity = { model: string; capacity: number; workers: number };

/** Whether a model can keep what is promised to vip keys. Rates in ims per ms. */
export type Verdict = {
  model: string;
  promised: number;
  limit: number;
  holds: boolean;
  /** False: there is one worker, and nothing is promised for the time in which it is lost. */
  survivesLoss: boolean;
};

/**
 * The sum of the quotas of the valid vip keys, ims per ms; keys of one family count once. A key without a quota in cost is
 * promised nothing.
 */
export function promisedToVip(keys: Iterable<KeyRecord>, epochMs: number): number {
  const byFamily = new Map<string, number>();
  for (const key of keys) {
    if (key.class !== 'vip' || (key.expiresAt ?? Number.POSITIVE_INFINITY) <= epochMs) continue;
    const family = familyOf(key);
    byFamily.set(family, Math.max(byFamily.get(family) ?? 0, key.quota?.costPerSecond ?? 0));
  }
  return byFamily.values().reduce((sum, costPerSecond) => sum + costPerSecond, 0) / 1_000;
}

/**
 * Holds what is promised to vip keys against each model, the tightest first: any key may spend its whole quota on any model.
 * Workers count as equal, since none says what it alone can do; with one worker its own capacity is the limit's base.
 */
export function vipProvisioning(promised: number, capacities: readonly ModelCapacity[]): Verdict[] {
  return capacities
    .map(({ model, capacity, workers }) => {
      const survivesLoss = workers > 1;
      const limit = VIP_SHARE * (survivesLoss ? capacity * (1 - 1 / workers) : capacity);
      return { model, promised, limit, holds: promised <= limit, survivesLoss };
    })
    .sort((a, b) => a.limit - b.limit);
}
