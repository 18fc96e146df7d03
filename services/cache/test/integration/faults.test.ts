import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '@spillway/testing/until';
import { type CacheClient, dialCache, keyOf, textOf } from '../support/cache-client.ts';
import { PATIENT_MS, startWorld, type World } from '../support/world.ts';

/** Long enough for a Redis that is well on a busy machine, short enough for five of them to end within the breaker's second. */
const TIMEOUT_MS = 60;

async function withWorld(
  run: (world: World, client: CacheClient) => Promise<void>,
  overrides: Record<string, string> = {},
): Promise<void> {
  await using world = await startWorld(overrides);
  await using client = await dialCache(world.address);
  const known = keyOf('known');
  await until('stored', async () => {
    client.put({ key: known, value: Buffer.from('known') }); // again: with a short limit a busy Redis may be too late
    return (await world.redisClient.dbsize()) === 1;
  });
  await run(world, client);
}
const hurried = { CACHE_REDIS_TIMEOUT_MS: String(TIMEOUT_MS) };

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
  await until('written again', isThere);
  return performance.now() - startMs;
}

describe('a Redis that fails', () => {
  it('by hanging is a miss within the timeout, at once when the breaker is open, and is asked again after it went on', () =>
    withWorld(async (world, client) => {
      const isOpen = async () => (await world.metric('spillway_cache_redis_open')) === 1;
      const asked = (...labels: string[]) => world.metric('spillway_cache_redis_read_seconds_count', ...labels);
      let failures = 0;
      await until('the timeout ends a look-up', async () => {
        await world.redis.kill('SIGSTOP');
        failures += 1;
        const ms = await timedMiss(client);
        if ((await asked('outcome="timeout"')) > 0) return ms >= TIMEOUT_MS - 2;
        await world.redis.kill('SIGCONT'); // this process stood still until the command's own limit was over as well
        return false;
      });
      for (; failures < 4; failures += 1) {
        assert.equal(await isOpen(), false, `open after ${failures} failures`);
        await timedMiss(client);
      }
      await until('open', async () => {
        // Several at once, each in a turn of its own: five must fail within a second, however slow this machine is.
        const misses: Promise<number>[] = [];
        for (let miss = 0; miss < 5; miss += 1) {
          misses.push(timedMiss(client));
          await delay(2);
        }
        await Promise.all(misses);
        return isOpen();
      });
      await until('a miss for which Redis is not asked', async () => {
        const before = await asked();
        await timedMiss(client);
        return (await asked()) === before; // else a second had passed, and this was the probe
      });
      assert.equal(textOf(await client.get(keyOf('known'))), 'known', 'memory is asked as ever');
      client.put({ key: keyOf('meanwhile'), value: Buffer.from('m') });
      assert.equal((await client.get(keyOf('meanwhile'))).tier, 'memory');
      await world.redis.kill('SIGCONT');
      await until('closed again', async () => {
        await timedMiss(client);
        return !(await isOpen());
      });
    }, hurried));

  it('by hanging for seconds piles nothing up: writes are dropped, look-ups are misses', () =>
    withWorld(async (world, client) => {
      await world.redis.kill('SIGSTOP');
      const endMs = performance.now() + 3_000; // longer than the patience with a silent connection
      const value = Buffer.alloc(50_000, 1);
      const dropped = () => world.metric('spillway_cache_writes_total', 'outcome="open"');
      let rounds = 0;
      const round = async () => {
        rounds += 1;
        client.put({ key: keyOf(`pile ${rounds % 100}`), value });
        await timedMiss(client);
      };
      while (performance.now() < endMs) await round();
      await until('writes are dropped', async () => {
        await round();
        return (await dropped()) > 50;
      });
      await world.redis.kill('SIGCONT');
      console.log(`Redis resumed: written again after ${(await untilWritten(world, client)).toFixed(0)} ms`);
    }, hurried));

  it('by being killed is a miss at once, and is used again after its return', () =>
    withWorld(async (world, client) => {
      await world.redis.kill();
      for (let call = 0; call < 10; call += 1) {
        const ms = await timedMiss(client);
        assert.ok(ms < PATIENT_MS, `${ms} ms: it waited for an answer`);
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
