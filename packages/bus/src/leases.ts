import { LEASE_REFRESH_MS, type Lease, REGISTRY, type ServiceName } from '@spillway/contracts/buckets';
import { heartbeatCodec } from '@spillway/contracts/messages';
import { healthSubject } from '@spillway/contracts/subjects';
import { type Clock, monotonicClock } from '@spillway/lifecycle/clock';
import type { Bus } from './bus.ts';
import { openBucket } from './kv.ts';

const HEARTBEAT_MS = 250;
/** Expiry makes no watch event before server 2.11, so every watcher times entries out by its own clock. */
const EXPIRES_AFTER_MS = 3 * LEASE_REFRESH_MS;

/** Writes this instance's entry of the registry every second, and a heartbeat on core NATS four times a second. */
export function keepLease(bus: Bus, lease: () => Lease): { refresh(): void; release(): Promise<void> } {
  const registry = openBucket<Lease>(bus, REGISTRY);
  let writing = false;
  let again = false; // something changed while the last state was being written
  const refresh = () => {
    if (!bus.up) return;
    again = writing;
    if (writing) return;
    writing = true;
    void registry
      .put(bus.instance, lease())
      .catch(() => undefined) // the next beat tries again
      .finally(() => {
        writing = false;
        if (again) refresh();
      });
  };
  const beat = () => {
    const { service, instance, state } = lease();
    bus.publish(
      healthSubject(instance),
      heartbeatCodec.encode({ service, instance, sentMs: monotonicClock.now(), state }),
    );
  };
  const leave = bus.onUp(() => {
    refresh();
    beat();
  });
  const refreshes = setInterval(refresh, LEASE_REFRESH_MS);
  const beats = setInterval(beat, HEARTBEAT_MS);
  return {
    refresh,
    release: async () => {
      leave();
      clearInterval(refreshes);
      clearInterval(beats);
      await registry.delete(bus.instance).catch(() => undefined); // it expires by itself
    },
  };
}

export type LeaseWatch = {
  /** Live instances, sorted by name. */
  list(): Lease[];
  onChange(listener: () => void): () => void;
  stop(): void;
};

/**
 * The live instances of a service. While the bus is away nothing expires: the watcher is the one who hears nothing, and a
 * dead peer shows at its own connection.
 */
export function watchLeases(bus: Bus, service: ServiceName, clock: Clock): LeaseWatch {
  const seen = new Map<string, { lease: Lease; json: string; seenAtMs: number }>();
  const listeners = new Set<() => void>();
  const changed = () => {
    for (const listener of [...listeners]) listener();
  };
  const watch = openBucket<Lease>(bus, REGISTRY).watch((instance, lease) => {
    if (lease === undefined) {
      if (seen.delete(instance)) changed();
      return;
    }
    if (lease.service !== service) return;
    const json = JSON.stringify(lease);
    const news = seen.get(instance)?.json !== json;
    seen.set(instance, { lease, json, seenAtMs: clock.now() });
    if (news) changed();
  });
  const unsubscribe = bus.onUp(() => {
    for (const entry of seen.values()) entry.seenAtMs = clock.now(); // a fresh start for all who were not heard meanwhile
  });
  const expire = () => {
    if (!bus.up) return;
    const oldest = clock.now() - EXPIRES_AFTER_MS;
    let gone = false;
    for (const [instance, entry] of seen) gone = (entry.seenAtMs < oldest && seen.delete(instance)) || gone;
    if (gone) changed();
  };
  // After a pause of this process what was said meanwhile lies in the socket: it is read first (the immediate).
  const expiry = setInterval(() => setImmediate(expire), 500);
  expiry.unref();
  return {
    list: () => [...seen.values()].map((entry) => entry.lease).sort((a, b) => (a.instance < b.instance ? -1 : 1)),
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stop: () => {
      watch.stop();
      unsubscribe();
      clearInterval(expiry);
      listeners.clear();
    },
  };
}
