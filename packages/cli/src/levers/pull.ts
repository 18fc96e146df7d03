import { type Lever, type LeverScope, MODELS, type ModelRecord } from '@spillway/contracts/buckets';
import { operator } from '../audit.ts';
import type { Context } from '../context.ts';
import { onMeshBus, readBucket } from '../mesh-bus.ts';
import { pullLever } from './lever-bucket.ts';
import { describeLever } from './lever-lines.ts';
import { newLeverId } from './lever-options.ts';

export type Effect = LeverScope & ({ kind: 'brake'; rate?: number; share?: number } | { kind: 'degrade'; to: string });

/** Pulls a lever once `check` has nothing against it (it throws), and tells how it is released. */
export async function pull(
  context: Context,
  effect: Effect,
  forMs: number,
  check: (models: ReadonlyMap<string, ModelRecord>) => void,
): Promise<void> {
  const createdAt = Date.now();
  const common = { id: newLeverId(effect.kind), createdAt, expiresAt: createdAt + forMs, by: operator() };
  const lever: Lever = { ...effect, ...common };
  await onMeshBus(context, async (bus) => {
    check(await readBucket<ModelRecord>(bus, MODELS));
    await pullLever(bus, lever, context.say);
  });
  context.print(`${lever.id}: ${describeLever(lever)}, until ${new Date(lever.expiresAt).toISOString()}`);
  context.say(`To end it earlier: ./spillway release ${lever.id}`);
}
