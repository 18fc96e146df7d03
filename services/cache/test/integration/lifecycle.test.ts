import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
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
import { dialCache, keyOf } from '../support/cache-client.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const NO_REDIS = 'redis://127.0.0.1:1';

/** From the word `draining` to the end of the streams, less what timers are early. */
const NOTICE_MS = 248;

type Started = { process: ServiceProcess; grpc: string; health: string };

async function start(natsUrl: string, overrides: Record<string, string> = {}, waitUntilReady = true): Promise<Started> {
  const [grpcPort, healthPort] = [await freePort(), await freePort()];
  const health = `http://127.0.0.1:${healthPort}`;
  const process = await startProcess({
    name: 'cache',
    file: MAIN,
    env: {
      NATS_URL: natsUrl,
      REDIS_URL: NO_REDIS,
      CACHE_GRPC_PORT: String(grpcPort),
      CACHE_HEALTH_PORT: String(healthPort),
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
    { service: 'spillway.v1.Cache' },
    (error, answer) => (error ? reject(error) : resolve((answer as { status: string }).status)),
  );
  return await promise;
}

describe('the life of the process', () => {
  it('is live and not ready while NATS is away, and ready without Redis once it is there', async () => {
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
    const { process, grpc } = await start(nats.url, { SPILLWAY_INSTANCE: 'cache-1' });
    await using _process = process;
    await using bus = await connectBus({ url: nats.url, service: 'gateway', instance: 'test' });
    const leases = watchLeases(bus, 'cache', monotonicClock);
    await until('a lease', () => leases.list().length === 1);
    const lease: Lease = { service: 'cache', instance: 'cache-1', address: grpc, state: 'ready' };
    assert.deepEqual(leases.list(), [lease]);
    assert.equal(await healthStatus(grpc), 'SERVING');

    await using client = await dialCache(grpc);
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
      const hit = await Promise.race([client.get(keyOf('x')).then((result) => result.hit), client.down]);
      if (hit === undefined) break;
      assert.equal(hit, false);
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
        CACHE_GRPC_PORT: 'high',
        CACHE_TTL_JITER: '3',
      },
    });
    assert.equal(result.status, 78);
    assert.match(result.stderr, /CACHE_GRPC_PORT: expected a port from 0 to 65535, got "high"/);
    assert.match(result.stderr, /CACHE_TTL_JITER: unknown variable; did you mean CACHE_TTL_JITTER\?/);
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
