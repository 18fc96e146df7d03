import type { Bus } from '@spillway/bus/bus';
import { type BucketWatch, openBucket } from '@spillway/bus/kv';
import { LEVERS, type Lever } from '@spillway/contracts/buckets';
import type { WallClock } from '@spillway/lifecycle/clock';
import { LeverSet, readLever } from '../core/lever-set.ts';

/** The wall clock may step, and a timer cannot wait for longer than 24 days: so it is looked at again. */
const LOOK_AGAIN_MS = 60_000;

export type LeverOptions = {
  wallClock: WallClock;
  /** All levers that count now, after each change: one was pulled, was released, or is over. */
  onLevers(levers: readonly Lever[]): void;
  /** An entry that cannot be understood has no effect. */
  onFault?(id: string): void;
};

/** The levers that people pulled. One past its end has no effect, and is taken out of the bucket by whoever sees it first. */
export function watchLevers(bus: Bus, { wallClock, onLevers, onFault }: LeverOptions): BucketWatch {
  const bucket = openBucket<unknown>(bus, LEVERS);
  const levers = new LeverSet();
  let timer: NodeJS.Timeout | undefined;
  const changed = () => {
    for (const { id } of levers.takeExpired(wallClock.epochMs())) {
      bucket.delete(id).catch(() => undefined); // it has no effect, wherever it lies
    }
    onLevers(levers.active(wallClock.epochMs()));
    clearTimeout(timer);
    const endAt = levers.nextEndAt();
    if (endAt === undefined) return;
    timer = setTimeout(changed, Math.min(LOOK_AGAIN_MS, Math.max(0, endAt - wallClock.epochMs())));
    timer.unref();
  };
  const watch = bucket.watch((id, value) => {
    const lever = value === undefined ? undefined : readLever(id, value);
    if (value !== undefined && lever === undefined) onFault?.(id);
    if (lever === undefined) levers.remove(id);
    else levers.put(lever);
    changed();
  });
  return {
    loaded: watch.loaded,
    stop: () => {
      clearTimeout(timer);
      watch.stop();
    },
  };
}
