/** Demands with weights; the lists may be longer than `count`. A group of n equal tenants is one entry of weight n. */
export type Demands = { demand: Float64Array; weight: Float64Array; count: number };

/** More passes than demands that differ by powers of two need; what is missing then is small. */
const MOST_PASSES = 64;

/**
 * The max-min fair rate f for weight 1: Σ min(demandᵢ, f · weightᵢ) = capacity (Bertsekas and Gallager, Data Networks, 6.5.2).
 * Infinity when all fits. Each pass settles those who want less than their share and divides what they leave: no sorting,
 * O(count) a pass, a handful of passes.
 */
export function fairShare({ demand, weight, count }: Demands, capacity: number): number {
  let settled = 0;
  let openWeight = 0;
  for (let i = 0; i < count; i += 1) openWeight += weight[i]!;
  if (openWeight <= 0) return Number.POSITIVE_INFINITY;
  let rate = Math.max(0, capacity) / openWeight;
  for (let pass = 0; pass < MOST_PASSES; pass += 1) {
    settled = 0;
    openWeight = 0;
    for (let i = 0; i < count; i += 1) {
      if (demand[i]! <= rate * weight[i]!) settled += demand[i]!;
      else openWeight += weight[i]!;
    }
    if (openWeight <= 0) return Number.POSITIVE_INFINITY;
    const next = Math.max(0, capacity - settled) / openWeight;
    if (next <= rate * (1 + 1e-9)) return rate;
    rate = next;
  }
  return rate;
}
