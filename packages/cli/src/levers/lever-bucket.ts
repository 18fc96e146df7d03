import type { Bus } from '@spillway/bus/bus';
import { openBucket } from '@spillway/bus/kv';
import { LEVERS, type Lever } from '@spillway/contracts/buckets';
import { auditOrSay } from '../audit.ts';
import { readBucket } from '../mesh-bus.ts';

type Say = (line: string) => void;

/** The levers that are pulled. What is past its time has no effect and is taken out of the bucket, by whoever sees it first. */
export async function readLevers(bus: Bus, epochMs: number): Promise<Lever[]> {
  const all = [...(await readBucket<Lever>(bus, LEVERS)).values()];
  const bucket = openBucket<Lever>(bus, LEVERS);
  const isOver = (lever: Lever): boolean => lever.expiresAt <= epochMs;
  await Promise.all(all.filter(isOver).map(({ id }) => bucket.delete(id)));
  return all.filter((lever) => !isOver(lever));
}

export async function pullLever(bus: Bus, lever: Lever, say: Say): Promise<void> {
  await openBucket<Lever>(bus, LEVERS).put(lever.id, lever);
  await auditOrSay(say, bus, 'lever', lever.kind, { levers: [lever] });
}

export async function releaseLevers(bus: Bus, levers: readonly Lever[], say: Say): Promise<void> {
  const bucket = openBucket<Lever>(bus, LEVERS);
  await Promise.all(levers.map(({ id }) => bucket.delete(id)));
  await auditOrSay(say, bus, 'lever', 'release', { levers });
}
