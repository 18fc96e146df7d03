import { startNatsServer, type TestServer } from '@spillway/testing/nats-server';
import { startRedisServer } from '@spillway/testing/redis-server';
import { until } from '@spillway/testing/until';
import { Redis } from 'ioredis';
import { cacheConfig } from '../../src/config.ts';
import { type CacheService, startCache } from '../../src/service.ts';

export type World = AsyncDisposable & {
  nats: TestServer;
  redis: TestServer;
  /** A client of the test's own. */
  redisClient: Redis;
  service: CacheService;
  address: string;
  /** Another instance on the same NATS and Redis. */
  another(overrides?: Record<string, string>): Promise<CacheService>;
  /** The sum of a metric's series whose line contains all of `labels`. */
  metric(name: string, ...labels: string[]): Promise<number>;
  /** Open connections of Redis, read events of their sockets, and MGETs it ran. */
  redisCounts(): Promise<{ connections: number; reads: number; mget: number }>;
};

/** A busy machine must not turn hits into misses: only a Redis that hangs takes this long. */
export const PATIENT_MS = 30_000;

/** The service in this process, with a real NATS and Redis of its own. */
export async function startWorld(overrides: Record<string, string> = {}): Promise<World> {
  await using opening = new AsyncDisposableStack();
  const nats = opening.use(await startNatsServer());
  const redis = opening.use(await startRedisServer());
  const redisClient = new Redis(redis.url, { lazyConnect: true });
  redisClient.on('error', () => undefined); // tests kill the server
  opening.defer(() => redisClient.disconnect());
  await redisClient.connect();
  let asked = 0;
  const askRedis = async () => {
    const info = await redisClient.info('everything');
    const number = (pattern: RegExp) => Number(pattern.exec(info)?.[1] ?? 0);
    const infos = number(/cmdstat_info:calls=(\d+)/) - asked; // those of others
    asked += 1;
    return {
      infos,
      connections: number(/connected_clients:(\d+)/),
      reads: number(/total_reads_processed:(\d+)/),
      mget: number(/cmdstat_mget:calls=(\d+)/),
    };
  };
  const another = async (more: Record<string, string> = {}) => {
    const config = cacheConfig.load({
      NATS_URL: nats.url,
      REDIS_URL: redis.url,
      LOG_LEVEL: 'silent',
      CACHE_GRPC_PORT: '0',
      CACHE_HEALTH_PORT: '0',
      ...more,
    });
    const redisTimeoutMs = 'CACHE_REDIS_TIMEOUT_MS' in more ? config.redisTimeoutMs : PATIENT_MS;
    const before = await askRedis();
    const started = await startCache({ ...config, redisTimeoutMs });
    // A start does not wait long for Redis. Each of the two connections begins with one INFO.
    const isConnected = async () => (await askRedis()).infos - before.infos >= 2;
    if (config.redisUrl === redis.url) await until('connected to Redis', isConnected);
    return started;
  };
  const service = opening.use(await another(overrides));
  const open = opening.move();
  return {
    nats,
    redis,
    redisClient,
    service,
    address: `127.0.0.1:${service.ports.grpc}`,
    another,
    metric: async (name, ...labels) => {
      const page = await (await fetch(`http://127.0.0.1:${service.ports.health}/metrics`)).text();
      return page
        .split('\n')
        .filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
    },
    redisCounts: askRedis,
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}
