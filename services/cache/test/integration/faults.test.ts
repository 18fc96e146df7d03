import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type CacheClient, dialCache, keyOf, textOf } from '../support/cache-client.ts';
import { startWorld, until, type World } from '../support/world.ts';

/** A busy machine's timers are late; what is asserted is the order of magnitude. */
const SLACK_MS = 400;
const TIMEOUT_MS = 20;

async function withWorld(run: (world: World, client: CacheClient) => Promise<void>): Promise<void> {
  await using world = await startWorld({ CACHE_REDIS_TIMEOUT_MS: String(TIMEOUT_MS) });
  await using client = await dialCache(world.address);
  const known = keyOf('known');
  client.put({ key: known, value: Buffer.from('known') });
  await until('stored', async () => (await world.redisClient.dbsize()) === 1);
  await run(world, client);
}

let asked = 0;
async function timedMiss(client: CacheClient): Promise<number> {
  asked += 1;
  const startMs = performance.now();
  assert.equal((await client.get(keyOf(`never put ${asked}`))).hit, false);
  return performance.now() - startMs;
}

/** Puts one value after another until one of them is in Redis. @returns After how many ms. */
async function untilWritten(world: World, client: CacheClient): Promise<number> {
  const startMs = performance.now();
  const names: string[] = [];
  const isThere = async () => {
    await client.get(keyOf(`probe ${names.length}`)); // look-ups probe, writes follow
    const key = keyOf(`again ${names.length}`);
    client.put({ key, value: Buffer.from('x') });
    names.push(`spw:c:${Buffer.from(key).toString('hex')}`);
    return world.redisClient.status === 'ready' && (await world.redisClient.exists(...names)) > 0;
  };
  await until('written again', isThere, 5_000);
  return performance.now() - startMs;
}

describe('a Redis that fails', () => {
  it('by hanging is a miss within the timeout, at once when the breaker is open, and is asked again after it went on', () =>
    withWorld(async (world, client) => {
      await world.redis.kill('SIGSTOP');
      const isOpen = () => world.metric('spillway_cache_redis_open');
      let failures = 0;
      while ((await isOpen()) === 0) {
        const ms = await timedMiss(client);
        assert.ok(ms >= TIMEOUT_MS - 2 && ms < TIMEOUT_MS + SLACK_MS, `${ms} ms`);
        failures += 1;
        assert.ok(failures < 40, 'the breaker did not open');
      }
      assert.ok(failures >= 5, `open after ${failures} failures`);
      const asked = () => world.metric('spillway_cache_redis_read_seconds_count');
      const before = await asked();
      await timedMiss(client);
      assert.equal(await asked(), before, 'Redis was not asked');
      assert.equal(textOf(await client.get(keyOf('known'))), 'known', 'memory is asked as ever');
      client.put({ key: keyOf('meanwhile'), value: Buffer.from('m') });
      assert.equal((await client.get(keyOf('meanwhile'))).tier, 'memory');
      await world.redis.kill('SIGCONT');
      await until('closed again', async () => {
        await timedMiss(client);
        return (await world.metric('spillway_cache_redis_open')) === 0;
      });
    }));

  it('by hanging for seconds piles nothing up: writes are dropped, look-ups are misses', () =>
    withWorld(async (world, client) => {
      await world.redis.kill('SIGSTOP');
      const endMs = performance.now() + 3_000;
      const value = Buffer.alloc(50_000, 1);
      let rounds = 0;
      while (performance.now() < endMs) {
        rounds += 1;
        client.put({ key: keyOf(`pile ${rounds % 100}`), value });
        await timedMiss(client);
      }
      assert.ok(rounds > 100, `${rounds} rounds`);
      assert.ok((await world.metric('spillway_cache_writes_total', 'outcome="open"')) > 50);
      await world.redis.kill('SIGCONT');
      console.log(`Redis resumed: written again after ${(await untilWritten(world, client)).toFixed(0)} ms`);
    }));

  it('by being killed is a miss at once, and is used again after its return', () =>
    withWorld(async (world, client) => {
      await world.redis.kill();
      for (let call = 0; call < 10; call += 1) {
        const ms = await timedMiss(client);
        assert.ok(ms < SLACK_MS, `${ms} ms`);
      }
      assert.equal(textOf(await client.get(keyOf('known'))), 'known');
      await world.redis.restart();
      console.log(`Redis back: written again after ${(await untilWritten(world, client)).toFixed(0)} ms`);
    }));

  it('by not being there at the start does not keep the service from being ready', async () => {
    await using world = await startWorld({ REDIS_URL: 'redis://127.0.0.1:1' });
    await using client = await dialCache(world.address);
    assert.equal((await fetch(`http://127.0.0.1:${world.service.ports.health}/readyz`)).status, 200);
    await timedMiss(client);
    client.put({ key: keyOf('alone'), value: Buffer.from('x') });
    assert.equal((await client.get(keyOf('alone'))).tier, 'memory');
  });
});

describe('two gateways', () => {
  it('at once see each other’s values, and the end of one does not disturb the other', () =>
    withWorld(async (world, client) => {
      const second = await dialCache(world.address);
      const rounds = Array.from({ length: 500 }, (_, index) => index);
      await Promise.all(
        rounds.map(async (round) => {
          const [writer, reader] = round % 2 === 0 ? [client, second] : [second, client];
          const key = keyOf(`both ${round}`);
          await Promise.all(writer.access([key], [{ key, value: Buffer.from(String(round)) }]));
          assert.equal(textOf(await reader.get(key)), String(round));
        }),
      );
      await second.stream.close();
      assert.equal(textOf(await client.get(keyOf('both 3'))), '3');
    }));
});
