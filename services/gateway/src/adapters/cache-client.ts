import type { Bus } from '@spillway/bus/bus';
import {
  CACHE_METHOD,
  type CacheGet,
  type CachePut,
  type CacheRequest,
  type CacheResponse,
  type CacheResult,
} from '@spillway/contracts/messages';
import type { Clock } from '@spillway/lifecycle/clock';
import { LookupBatch } from '../core/lookup-batch.ts';
import type { PipelinePorts } from '../core/pipeline-ports.ts';
import { meshPeers } from './mesh-peers.ts';

export type CacheClient = {
  get: PipelinePorts['cacheGet'];
  put: PipelinePorts['cachePut'];
  [Symbol.asyncDispose](): Promise<void>;
};

/** A look-up that takes longer than a model run is worth less than the run. */
const GIVE_UP_MS = 50;
const SWEEP_MS = 10;

/** Look-ups and writes of one turn travel in one message. A lost, slow or absent cache is a miss. */
export function cacheClient({ bus, clock, maxInFlight }: { bus: Bus; clock: Clock; maxInFlight: number }): CacheClient {
  const lookups = new LookupBatch<CacheGet, CacheResult>(clock, maxInFlight);
  let puts: CachePut[] = [];
  const peers = meshPeers<CacheRequest, CacheResponse>({
    bus,
    clock,
    service: 'cache',
    method: CACHE_METHOD,
    onMessage: ({ results }) => {
      for (const result of results) lookups.answer(result);
    },
    onUp: () => undefined,
    onDown: () => lookups.failAll(),
  });
  let flushing = false;
  const flush = () => {
    flushing = false;
    const message = { gets: lookups.take(), puts };
    puts = [];
    if (!peers.send(message) && message.gets.length > 0) lookups.failAll();
  };
  const flushSoon = () => {
    if (flushing) return;
    flushing = true;
    setImmediate(flush);
  };
  const sweep = setInterval(() => {
    if (lookups.size > 0) lookups.expire();
  }, SWEEP_MS);
  return {
    get: ({ key, traceparent, allowStale }, found) => {
      const ask = (id: number): CacheGet => ({ id, key, traceparent, allowStale });
      lookups.ask(ask, clock.now() + GIVE_UP_MS, (result) =>
        found(result?.hit ? { value: result.value, stale: result.stale === true } : undefined),
      );
      flushSoon();
    },
    put: (put) => {
      puts.push(put);
      flushSoon();
    },
    [Symbol.asyncDispose]: async () => {
      clearInterval(sweep);
      await peers[Symbol.asyncDispose]();
    },
  };
}
