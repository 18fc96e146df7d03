import type { ServiceName } from '@spillway/contracts/buckets';
import type { ClockOffsets } from '@spillway/contracts/deadline';
import { heartbeatCodec } from '@spillway/contracts/messages';
import { ALL_HEALTH } from '@spillway/contracts/subjects';
import type { Clock } from '@spillway/lifecycle/clock';
import type { Bus, Subscription } from './bus.ts';
import { decodeSignal } from './decode-signal.ts';

/** An instance that was not heard for so long sends nothing else either. */
const FORGET_AFTER_MS = 60_000;

/** Keeps the clock offsets of instances by their heartbeats, which never queue. `prune` is to be called now and then. */
export function listenToHeartbeats(
  bus: Bus,
  { offsets, clock, services }: { offsets: ClockOffsets; clock: Clock; services: readonly ServiceName[] },
): Subscription & { prune(): void } {
  const heard = new Map<string, { sentMs: number; atMs: number }>();
  const forget = (instance: string): void => {
    heard.delete(instance);
    offsets.forget(instance);
  };
  const subscription = bus.subscribe(ALL_HEALTH, ({ payload }) => {
    const heartbeat = decodeSignal(heartbeatCodec, payload);
    if (heartbeat === undefined || !services.includes(heartbeat.service as ServiceName)) return;
    const { instance, sentMs } = heartbeat;
    const atMs = clock.now();
    // A clock that goes back is another life of the same name: what was known of the old one would make every message look old.
    if (sentMs < (heard.get(instance)?.sentMs ?? 0)) forget(instance);
    heard.set(instance, { sentMs, atMs });
    offsets.observe(instance, sentMs, atMs);
  });
  return {
    stop: () => subscription.stop(),
    prune: () => {
      for (const [instance, { atMs }] of heard) if (clock.now() - atMs > FORGET_AFTER_MS) forget(instance);
    },
  };
}
