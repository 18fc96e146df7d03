import type { Work } from './work.ts';

/** What a batch has of each class: costs by rank, rows of bulk, requests of standard and when the youngest of those began. */
export function partsOf(batch: readonly Work[]) {
  const costs = [0, 0, 0];
  let bulkRows = 0;
  let standard = 0;
  let latestStandardMs = Number.NEGATIVE_INFINITY;
  for (const { rank, rows, cost, sinceMs } of batch) {
    costs[rank] = (costs[rank] ?? 0) + cost;
    if (rank === 2) bulkRows += rows;
    else if (rank === 1) {
      standard += 1;
      if (sinceMs > latestStandardMs) latestStandardMs = sinceMs;
    }
  }
  return { costs, bulkRows, standard, latestStandardMs };
}
