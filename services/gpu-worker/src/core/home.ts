/** Instances of the two services, as their leases name them. */
export type Fleet = { batchers: readonly string[]; workers: readonly string[]; self: string };
export type Homes = { home: string | undefined; warm: string | undefined };

/**
 * Which batcher gets this worker's credits, and which is kept warm for the case that it leaves. Every worker computes the
 * same from the same leases, so batchers need not talk to each other: worker i of the sorted list belongs to batcher i mod n.
 */
export function chooseHomes({ batchers, workers, self }: Fleet): Homes {
  const sorted = [...batchers].sort();
  const index = [...new Set([...workers, self])].sort().indexOf(self);
  const n = sorted.length;
  return {
    home: n > 0 ? sorted[index % n] : undefined,
    warm: n > 1 ? sorted[(index + 1) % n] : undefined,
  };
}
