import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connectBus } from '@spillway/bus/connect';
import { watchLeases } from '@spillway/bus/leases';
import type { Lease } from '@spillway/contracts/buckets';
import { PROTO_DIR } from '@spillway/contracts/protos';
import { monotonicClock } from '@spillway/lifecycle/clock';
import { openChannel } from '@spillway/rpc/channel';
import { loadServices } from '@spillway/rpc/load';
import { freePort } from '@spillway/testing/free-port';
import { startNatsServer } from '@spillway/testing/nats-server';
import { type ServiceProcess, startProcess } from '@spillway/testing/process';
import { startRedisServer } from '@spillway/testing/redis-server';
import { residentBytes } from '@spillway/testing/resident-bytes';
import { until } from '@spillway/testing/until';
import { dialFeatures } from '../support/fetch-client.ts';
import { FIXTURE_VIEWS } from '../support/world.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const NO_REDIS = 'redis://127.0.0.1:1';

/** From the word `draining` to the end of the streams, less what timers are early. */
const NOTICE_MS = 248;

type Started = { process: ServiceProcess; grpc: string; health: string };

async function start(natsUrl: string, overrides: Record<string, string> = {}, waitUntilReady = true): Promise<Started> {
  const [grpcPort, healthPort] = [await freePort(), await freePort()];
  const health = `http://127.0.0.1:${healthPort}`;
  const process = await startProcess({
    name: 'feature-service',
    file: MAIN,
    env: {
      NATS_URL: natsUrl,
      REDIS_URL: NO_REDIS,
      FEATURE_SERVICE_GRPC_PORT: String(grpcPort),
      FEATURE_SERVICE_HEALTH_PORT: String(healthPort),
      FEATURE_SERVICE_VIEWS_DIR: FIXTURE_VIEWS,
      FEATURE_SERVICE_SQLITE_PATH: '/nonexistent/features.sqlite',
      ...overrides,
    },
    readyUrl: waitUntilReady ? `${health}/readyz` : `${health}/livez`,
  });
  return { process, grpc: `127.0.0.1:${grpcPort}`, health };
}

async function healthStatus(address: string): Promise<string> {
  using channel = openChannel(address);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const definition = loadServices(['grpc/health/v1/health.proto'], [PROTO_DIR])['grpc.health.v1.Health'];
  const { path, requestSerialize, responseDeserialize } = definition!['Check']!;
  channel.client.makeUnaryRequest(
    path,
    requestSerialize,
    responseDeserialize,
    { service: 'spillway.v1.Features' },
    (error, answer) => (error ? reject(error) : resolve((answer as { status: string }).status)),
  );
  return await promise;
}

describe('the life of the process', () => {
  it('is live and not ready while NATS is away, and ready without Redis and SQLite once it is there', async () => {
    const port = await freePort();
    const { process, health } = await start(`nats://127.0.0.1:${port}`, {}, false);
    await using _process = process;
    const waiting = await fetch(`${health}/readyz`);
    assert.deepEqual([waiting.status, await waiting.json()], [503, { state: 'starting', waiting_for: ['nats'] }]);
    await using _nats = await startNatsServer({ port });
    await process.record((record) => record['msg'] === 'serving');
    assert.equal((await fetch(`${health}/readyz`)).status, 200);
  });

  it('writes its lease, and on SIGTERM answers what is in flight, says draining, leaves, and exits with 0', async () => {
    await using nats = await startNatsServer();
    const { process, grpc } = await start(nats.url, { SPILLWAY_INSTANCE: 'features-1' });
    await using _process = process;
    await using bus = await connectBus({ url: nats.url, service: 'gateway', instance: 'test' });
    const leases = watchLeases(bus, 'feature-service', monotonicClock);
    await until('a lease', () => leases.list().length === 1);
    const lease: Lease = { service: 'feature-service', instance: 'features-1', address: grpc, state: 'ready' };
    assert.deepEqual(leases.list(), [lease]);
    assert.equal(await healthStatus(grpc), 'SERVING');

    await using client = await dialFeatures(grpc);
    const states: string[] = [];
    let changedMs = Number.NaN;
    leases.onChange(() => {
      changedMs = performance.now();
      states.push(leases.list()[0]?.state ?? 'gone');
    });
    const sentMs = performance.now();
    const killed = process.kill('SIGTERM');
    let answered = 0;
    // Until the gateways have heard of it. One that hears of it late finds the stream closed.
    while (states.length === 0 && client.stream.up) {
      const rows = await Promise.race([client.fetch({ entities: ['c1'] }), client.down]);
      if (rows === undefined) break;
      assert.equal(rows.errorCode, '');
      answered += 1;
    }
    assert.ok(answered > 0 || performance.now() - sentMs >= NOTICE_MS, 'it hung up before anybody could hear of it');
    await killed;
    await until('gone', () => states.at(-1) === 'gone');
    // A bus that stood still for a while may have the last word only, or take a lease for expired.
    assert.ok(changedMs - sentMs >= 1_000 || states.join() === 'draining,gone', states.join());
    assert.equal(process.end, 0);
    leases.stop();
  });

  it('ends at once with 78 and one report of all faults when its variables are wrong', () => {
    const result = spawnSync(globalThis.process.execPath, [MAIN], {
      encoding: 'utf8',
      env: {
        PATH: globalThis.process.env['PATH'],
        FEATURE_SERVICE_GRPC_PORT: 'high',
        FEATURE_SERVICE_MERGE_WINDOW: '3',
      },
    });
    assert.equal(result.status, 78);
    assert.match(result.stderr, /FEATURE_SERVICE_GRPC_PORT: expected a port from 0 to 65535, got "high"/);
    assert.match(
      result.stderr,
      /FEATURE_SERVICE_MERGE_WINDOW: unknown variable; did you mean FEATURE_SERVICE_MERGE_WINDOW_MS\?/,
    );
  });

  it('ends with 78 and names file and field when a view is wrong', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'spillway-views-'));
    try {
      await writeFile(join(dir, 'bad.yaml'), 'view: bad\nentity: e\nsource: { kind: mysql }\n');
      const env = { PATH: globalThis.process.env['PATH'], FEATURE_SERVICE_VIEWS_DIR: dir };
      const result = spawnSync(globalThis.process.execPath, [MAIN], { encoding: 'utf8', env });
      assert.equal(result.status, 78);
      assert.match(result.stderr, /bad\.yaml: source/);
      assert.match(result.stderr, /bad\.yaml: fields/);
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  it('holds at most 140 MB when idle, started as `up` starts it: with the compile cache on', async () => {
    await using nats = await startNatsServer();
    await using redis = await startRedisServer();
    const cache = await mkdtemp(join(tmpdir(), 'spillway-compile-'));
    try {
      const overrides = { NODE_COMPILE_CACHE: cache, REDIS_URL: redis.url };
      const { process, health } = await start(nats.url, overrides);
      await using _process = process;
      await process.restart(); // the first start fills the cache, and holds the type stripper in memory
      await delay(500);
      await until('little memory', async () => {
        const bytes = await residentBytes(health);
        console.log(`idle: ${(bytes / 1e6).toFixed(0)} MB resident`);
        return bytes > 0 && bytes <= 140e6;
      });
    } finally {
      await rm(cache, { recursive: true, force: true });
    }
  });
});
