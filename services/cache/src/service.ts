import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Breaker } from '@spillway/lifecycle/breaker';
import { monotonicClock, wallClock } from '@spillway/lifecycle/clock';
import { InFlight } from '@spillway/lifecycle/in-flight';
import { closeRedis, openRedis } from '@spillway/redis/client';
import { startGrpcServer } from '@spillway/rpc/server';
import { callableAt } from '@spillway/service/address';
import { openService } from '@spillway/service/open-service';
import { cacheService } from './adapters/grpc-server.ts';
import { Lookups } from './adapters/lookups.ts';
import { MemoryTier } from './adapters/memory-tier.ts';
import { RedisTier } from './adapters/redis-tier.ts';
import { type CacheConfig, cacheConfig } from './config.ts';
import { createCacheTelemetry } from './telemetry.ts';

const SERVICE = 'cache';
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
const MAX_KEYS = 512; // in one round trip: more would hold Redis up for other callers
/** A start waits no longer for Redis: without it memory is enough. */
const REDIS_WAIT_MS = 1_000;
/** From the changed lease to the last gateway that has heard of it. */
const NOTICE_MS = 250;

export type CacheService = AsyncDisposable & {
  ports: { grpc: number; health: number };
  /** Takes no new work, answers what is in flight, then hangs up. */
  drain(timeoutMs: number): Promise<void>;
};

/** Resolves when ready: NATS must have been there, Redis need not. */
export async function startCache(config: CacheConfig): Promise<CacheService> {
  await using opening = new AsyncDisposableStack(); // a failure half-way closes what was opened, in reverse
  const { fields } = cacheConfig;
  const base = opening.use(await openService({ service: SERVICE, config, fields, healthPort: config.healthPort }));
  const { log, metrics, state, health, onFact } = base;
  const bus = opening.use(await base.connectBus());

  const connect = (use: string) => {
    const commandTimeoutMs = config.redisTimeoutMs * (use === 'writes' ? 5 : 2); // look-ups have a timer of their own
    const client = openRedis({
      url: config.redisUrl,
      commandTimeoutMs,
      connectionName: `${config.instance}-${use}`,
      onFact,
    });
    opening.defer(() => closeRedis(client));
    return client;
  };
  const reads = connect('reads');
  const writes = connect('writes');
  await once(reads, 'ready', { signal: AbortSignal.timeout(REDIS_WAIT_MS) }).catch(() => undefined);

  const telemetry = createCacheTelemetry(metrics, log, monotonicClock, () => memory);
  const memory = new MemoryTier({ maxBytes: config.maxBytes, clock: monotonicClock, onEvict: telemetry.evicted });
  const redis = new RedisTier({
    reads,
    writes,
    breaker: new Breaker({ clock: monotonicClock, failures: 5, windowMs: 1_000, openMs: 1_000 }),
    timeoutMs: config.redisTimeoutMs,
    maxUnwrittenBytes: config.maxUnwrittenBytes,
  });
  const inFlight = new InFlight();
  const lookups = new Lookups({
    memory,
    redis,
    keep: {
      maxValueBytes: config.maxValueBytes,
      maxTtlMs: config.maxTtlMs,
      jitter: config.ttlJitter,
      random: Math.random,
    },
    maxKeys: MAX_KEYS,
    clock: monotonicClock,
    wallClock,
    inFlight,
    telemetry,
  });
  const cache = cacheService(lookups, config.maxUnsentBytes);
  const grpc = opening.use(
    await startGrpcServer({
      host: config.host,
      port: config.grpcPort,
      services: [cache],
      maxReceiveBytes: MAX_MESSAGE_BYTES,
    }),
  );
  const address = callableAt(config, grpc.port);
  state.set('ready');
  grpc.setServing(true);
  const lease = opening.use(base.announce(bus, () => ({ address })));
  log.info({ address, health_port: health.port }, 'serving');

  const open = opening.move();
  const drain = async (timeoutMs: number) => {
    const endMs = monotonicClock.now() + timeoutMs;
    const leftMs = () => Math.max(0, endMs - monotonicClock.now());
    state.set('draining');
    grpc.setServing(false);
    lease.refresh();
    await delay(Math.min(NOTICE_MS, timeoutMs));
    if (!(await inFlight.idle(leftMs()))) log.warn({ abandoned: inFlight.count }, 'look-ups were abandoned');
    for (const stream of cache.streams) stream.close();
    await grpc.drain(Math.min(1_000, leftMs()));
  };
  return {
    ports: { grpc: grpc.port, health: health.port },
    drain,
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}
