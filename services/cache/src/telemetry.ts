import type { CacheGet } from '@spillway/contracts/messages';
import type { BreakerChange } from '@spillway/lifecycle/breaker';
import type { Clock } from '@spillway/lifecycle/clock';
import type { Logger } from '@spillway/telemetry/logger';
import { counterOf, type Metrics } from '@spillway/telemetry/metrics';
import { ATTRIBUTES, LATENCY_BUCKETS, METRICS, SPANS } from '@spillway/telemetry/names';
import { recordSpan } from '@spillway/telemetry/spans';
import type { MemoryTier } from './adapters/memory-tier.ts';
import type { Read, WriteOutcome } from './adapters/redis-tier.ts';
import type { KeepRefusal } from './core/keep.ts';

/** Where a value came from; '': nowhere, a miss. */
export type Tier = 'memory' | 'redis' | '';

/** Turns the facts of look-ups and writes into metrics, spans and log lines. */
export type CacheTelemetry = {
  lookup(get: CacheGet, tier: Tier, startMs: number): void;
  redisRead(read: Read, keys: number, startMs: number): void;
  redisWrite(outcome: WriteOutcome): void;
  notKept(reason: KeepRefusal): void;
  evicted(): void;
};

export function createCacheTelemetry(
  metrics: Metrics,
  logger: Logger,
  clock: Clock,
  memory: () => MemoryTier,
): CacheTelemetry {
  const lookups = counterOf(metrics, METRICS.cacheLookups);
  // The cache does not know models; an empty label is no label.
  const hits = {
    memory: lookups.bind({ model: '', tier: 'memory', outcome: 'hit' }),
    redis: lookups.bind({ model: '', tier: 'redis', outcome: 'hit' }),
    '': lookups.bind({ model: '', tier: 'none', outcome: 'miss' }),
  };
  const readSeconds = metrics.histogram(
    'spillway_cache_redis_read_seconds',
    'Time of one round trip to Redis for look-ups, by outcome',
    LATENCY_BUCKETS,
    ['outcome'],
  );
  const readKeys = metrics
    .histogram(
      'spillway_cache_redis_read_keys',
      'Keys in one round trip to Redis',
      [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
    )
    .bind({});
  const corrupt = metrics
    .counter('spillway_cache_corrupt_total', 'Values in Redis that were no entry of their key; each was a miss')
    .bind({});
  const writes = metrics.counter('spillway_cache_writes_total', 'Values offered to Redis, by outcome', ['outcome']);
  const notKept = metrics.counter('spillway_cache_not_kept_total', 'Puts that were not kept, by reason', ['reason']);
  const evicted = metrics.counter('spillway_cache_evicted_total', 'Entries pushed out of memory to make room').bind({});
  metrics.gauge('spillway_cache_memory_bytes', 'Bytes held in memory', [], (gauge) => gauge.set({}, memory().bytes));
  metrics.gauge('spillway_cache_memory_entries', 'Entries held in memory', [], (gauge) =>
    gauge.set({}, memory().count),
  );
  const redisOpen = metrics
    .gauge('spillway_cache_redis_open', '1 while the breaker keeps Redis from being asked')
    .bind({});

  const breakerChanged = (change: BreakerChange, error: Error | undefined): void => {
    redisOpen.set(change === 'opened' ? 1 : 0);
    if (change === 'opened') logger.warn({ err: error }, 'redis failed repeatedly; only memory is asked');
    else logger.info('redis answers again');
  };

  return {
    lookup: (get, tier, startMs) => {
      hits[tier].inc();
      if (get.traceparent === '') return;
      recordSpan({
        name: SPANS.cacheGet,
        traceparent: get.traceparent,
        kind: 'server',
        startMs,
        endMs: clock.now(),
        attributes: {
          [ATTRIBUTES.cache]: tier === '' ? 'miss' : 'hit',
          'spillway.tier': tier === '' ? undefined : tier,
        },
      });
    },
    redisRead: (read, keys, startMs) => {
      if (read.breaker !== undefined) breakerChanged(read.breaker, read.error);
      if (read.corrupt > 0) corrupt.inc(read.corrupt);
      if (read.outcome === 'open') return;
      readSeconds.observe({ outcome: read.outcome }, (clock.now() - startMs) / 1_000);
      readKeys.observe(keys);
    },
    redisWrite: (outcome) => writes.inc({ outcome }),
    notKept: (reason) => notKept.inc({ reason }),
    evicted: () => evicted.inc(),
  };
}
