import type { Bus } from '@spillway/bus/bus';
import { watchLeases } from '@spillway/bus/leases';
import type { ServiceName } from '@spillway/contracts/buckets';
import type { Clock } from '@spillway/lifecycle/clock';
import { type DialledDuplex, dialDuplex } from '@spillway/rpc/duplex';
import type { Method } from '@spillway/rpc/method';

/** One open stream to each live instance of a service, found through their leases; messages go to them in turn. */
export type MeshPeers<Out> = {
  /** False: no instance can be reached now. */
  send(message: Out): boolean;
  [Symbol.asyncDispose](): Promise<void>;
};

/** A restarted instance has the address of the one before: requests that wait for it must not wait for a long back-off too. */
const REDIAL = { initialMs: 50, maxMs: 200 };

export function meshPeers<Out, In>(options: {
  bus: Bus;
  clock: Clock;
  service: ServiceName;
  method: Method<Out, In>;
  onMessage: (message: In) => void;
  /** A stream has opened, or one was lost: what was sent on it may never be answered. */
  onUp: () => void;
  onDown: () => void;
}): MeshPeers<Out> {
  const streams = new Map<string, { address: string; stream: DialledDuplex<Out> }>();
  const leases = watchLeases(options.bus, options.service, options.clock);
  let next = 0;
  const follow = () => {
    const live = leases.list().filter((lease) => lease.state === 'ready');
    for (const [instance, peer] of streams) {
      if (live.some((lease) => lease.instance === instance && lease.address === peer.address)) continue;
      streams.delete(instance);
      void peer.stream.close().then(options.onDown); // what it leaves unanswered is asked elsewhere
    }
    for (const { instance, address } of live) {
      if (streams.has(instance)) continue;
      const { method, onMessage, onUp, onDown } = options;
      const stream = dialDuplex<In, Out>({ address, method, onMessage, onUp, onDown, backoff: REDIAL });
      streams.set(instance, { address, stream });
    }
  };
  leases.onChange(follow);
  return {
    send: (message) => {
      const peers = [...streams.values()];
      for (let i = 0; i < peers.length; i += 1) {
        next = (next + 1) % peers.length;
        if (peers[next]?.stream.send(message)) return true;
      }
      return false;
    },
    [Symbol.asyncDispose]: async () => {
      leases.stop();
      await Promise.all([...streams.values()].map(({ stream }) => stream.close()));
    },
  };
}
