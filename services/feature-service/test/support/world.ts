import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startNatsServer, type TestServer } from '@spillway/testing/nats-server';
import { startRedisServer } from '@spillway/testing/redis-server';
import { Redis } from 'ioredis';
import { featureServiceConfig } from '../../src/config.ts';
import { type FeatureService, startFeatureService } from '../../src/service.ts';

export const FIXTURE_VIEWS = fileURLToPath(new URL('../fixtures/views', import.meta.url));

export type World = AsyncDisposable & {
  nats: TestServer;
  redis: TestServer;
  /** A client of the test's own. */
  redisClient: Redis;
  sqlitePath: string;
  service: FeatureService;
  address: string;
  env: Record<string, string>;
  /** The sum of a metric's series whose line contains all of `labels`. */
  metric(name: string, ...labels: string[]): Promise<number>;
  scrape(): Promise<string>;
};

export type Profile = { id: string; limitBal: number | null; education: number | null; updatedMs: number };

export type WorldOptions = {
  env?: Record<string, string>;
  journalMode?: 'WAL' | 'DELETE';
  /** `PATIENT_MS` unless a test is about them. */
  redisTimeoutMs?: number;
  sqliteTimeoutMs?: number;
};

/** A busy machine must not turn values into defaults: only a source that hangs takes this long. */
export const PATIENT_MS = 30_000;

/** The service in this process, with a real NATS, Redis and SQLite of its own. */
export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const { env: overrides, journalMode = 'WAL', redisTimeoutMs = PATIENT_MS, sqliteTimeoutMs = PATIENT_MS } = options;
  await using opening = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), 'spillway-features-'));
  opening.defer(() => rm(dir, { recursive: true, force: true }));
  const nats = opening.use(await startNatsServer());
  const redis = opening.use(await startRedisServer());
  const redisClient = new Redis(redis.url, { lazyConnect: true });
  redisClient.on('error', () => undefined); // tests kill the server
  opening.defer(() => redisClient.disconnect());
  await redisClient.connect();
  const sqlitePath = join(dir, 'features.sqlite');
  createProfiles(sqlitePath, journalMode);
  await writeView(dir, 'monthly.yaml', redisTimeoutMs);
  await writeView(dir, 'profile.yaml', sqliteTimeoutMs);
  const env = {
    NATS_URL: nats.url,
    REDIS_URL: redis.url,
    LOG_LEVEL: 'silent',
    FEATURE_SERVICE_GRPC_PORT: '0',
    FEATURE_SERVICE_HEALTH_PORT: '0',
    FEATURE_SERVICE_SQLITE_PATH: sqlitePath,
    FEATURE_SERVICE_VIEWS_DIR: dir,
    ...overrides,
  };
  const infos = async () => Number(/cmdstat_info:calls=(\d+)/.exec(await redisClient.info('commandstats'))?.[1] ?? 0);
  const before = await infos();
  const service = opening.use(await startFeatureService(featureServiceConfig.load(env)));
  // A start does not wait long for Redis. Its connection begins with one INFO; every look here adds one.
  for (let looks = 1; env.REDIS_URL === redis.url && (await infos()) - before <= looks; looks += 1) {
    if (looks > PATIENT_MS / 10) throw new Error('the service did not connect to Redis');
    await delay(10);
  }
  const open = opening.move();
  const scrape = async () => (await fetch(`http://127.0.0.1:${service.ports.health}/metrics`)).text();
  const metric = async (name: string, ...labels: string[]) => {
    const lines = (await scrape()).split('\n');
    return lines
      .filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  };
  return {
    nats,
    redis,
    redisClient,
    sqlitePath,
    service,
    address: `127.0.0.1:${service.ports.grpc}`,
    env,
    metric,
    scrape,
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

async function writeView(dir: string, file: string, timeoutMs: number): Promise<void> {
  const view = await readFile(join(FIXTURE_VIEWS, file), 'utf8');
  await writeFile(join(dir, file), view.replace(/timeout_ms: .*/, `timeout_ms: ${timeoutMs}`));
}

export function createProfiles(path: string, journalMode: 'WAL' | 'DELETE' = 'WAL'): void {
  using database = new DatabaseSync(path);
  database.exec(`PRAGMA journal_mode = ${journalMode}`);
  database.exec(
    'CREATE TABLE profile (client_id TEXT PRIMARY KEY, updated_ms INTEGER, limit_bal REAL, education INTEGER)',
  );
}

export function putProfiles(path: string, profiles: readonly Profile[]): void {
  using database = new DatabaseSync(path, { timeout: PATIENT_MS });
  const insert = database.prepare('INSERT OR REPLACE INTO profile VALUES (?, ?, ?, ?)');
  database.exec('BEGIN');
  for (const { id, limitBal, education, updatedMs } of profiles) insert.run(id, updatedMs, limitBal, education);
  database.exec('COMMIT');
}

export async function putMonthly(redis: Redis, id: string, values: object, updatedMs = Date.now()): Promise<void> {
  await redis.hset(`spw:f:{${id}}:monthly`, { d: JSON.stringify(values), v: 1, ts: updatedMs });
}
