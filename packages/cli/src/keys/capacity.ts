import { setTimeout as delay } from 'node:timers/promises';
import type { Bus } from '@spillway/bus/bus';
import { type Lease, REGISTRY } from '@spillway/contracts/buckets';
import { loadStateCodec } from '@spillway/contracts/messages';
import type { ModelCapacity } from '@spillway/contracts/provisioning';
import { ALL_LOAD } from '@spillway/contracts/subjects';
import { readBucket } from '../mesh-bus.ts';

const SUBJECT_PREFIX = ALL_LOAD.slice(0, -1);
/** Even a model without traffic is told of once a second. */
export const LISTEN_MS = 1_500;

/**
 * What the models can do now, as their batchers say it, and how many workers share it. A model of which no batcher speaks is
 * not in the list.
 */
export async function readCapacities(bus: Bus, listenMs = LISTEN_MS): Promise<ModelCapacity[]> {
  const byModel = new Map<string, Map<string, number>>();
  const subscription = bus.subscribe(ALL_LOAD, ({ subject, payload }) => {
    const { instance, batcher } = loadStateCodec.decode(payload);
    if (!batcher) return;
    const model = subject.slice(SUBJECT_PREFIX.length);
    const batchers = byModel.get(model) ?? new Map<string, number>();
    byModel.set(model, batchers.set(instance, batcher.capacity));
  });
  const [leases] = await Promise.all([readBucket<Lease>(bus, REGISTRY), delay(listenMs)]);
  subscription.stop();
  const workersOf = (model: string) =>
    [...leases.values()].filter((lease) => lease.models?.some((served) => served.model === model)).length;
  return [...byModel]
    .map(([model, batchers]) => ({
      model,
      capacity: [...batchers.values()].reduce((sum, one) => sum + one, 0),
      workers: Math.max(1, workersOf(model)),
    }))
    .filter(({ capacity }) => capacity > 0);
}
