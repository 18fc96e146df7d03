import type { Bus, Subscription } from '@spillway/bus/bus';
import type { ClockOffsets } from '@spillway/contracts/deadline';
import { heartbeatCodec } from '@spillway/contracts/messages';
import { ALL_HEALTH } from '@spillway/contracts/subjects';
import type { Clock } from '@spillway/lifecycle/clock';
import { decodeSignal } from './decode-signal.ts';

/** A gateway that was not heard for so long sends no frames either. */
const FORGET_AFTER_MS = 60_000;

/** Keeps the clock offsets of the gateways by their heartbeats, which never queue. `prune` is to be called now and then. */
export function listenToHeartbeats(bus: Bus, offsets: ClockOffsets, clock: Clock): Subscription & { prune(): void } {
  const heard = new Map<string, { sentMs: number; atMs: number }>();
  const forget = (gateway: string): void => {
    heard.delete(gateway);
    offsets.forget(gateway);
  };
  const subscription = bus.subscribe(ALL_HEALTH, ({ payload }) => {
    const heartbeat = decodeSignal(heartbeatCodec, payload);
    if (heartbeat?.service !== 'gateway') return;
    const { instance, sentMs } = heartbeat;
    const atMs = clock.now();
    // A clock that goes back is another life of the same name: what was known of the old one would make every frame look old.
    if (sentMs < (heard.get(instance)?.sentMs ?? 0)) forget(instance);
    heard.set(instance, { sentMs, atMs });
    offsets.observe(instance, sentMs, atMs);
  });
  return {
    stop: () => subscription.stop(),
    prune: () => {
      for (const [gateway, { atMs }] of heard) if (clock.now() - atMs > FORGET_AFTER_MS) forget(gateway);
    },
  };
}
