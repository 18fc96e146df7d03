import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { installSink } from '@spillway/telemetry/span-sink';
import { until } from '@spillway/testing/until';
import { type CacheClient, dialCache, keyOf, textOf } from '../support/cache-client.ts';
import { startWorld, type World } from '../support/world.ts';

/** A busy machine may come late to what lives for a moment only. @returns Whether `ms` from now have passed. */
function timeToLive(ms: number): () => boolean {
  const endMs = performance.now() + ms - 2;
  return () => performance.now() >= endMs;
}

const hex = (key: Uint8Array): string => Buffer.from(key).toString('hex');

describe('access to the cache', () => {
  let world: World;
  let client: CacheClient;

  before(async () => {
    world = await startWorld();
    client = await dialCache(world.address);
  });
  after(async () => {
    await client?.[Symbol.asyncDispose]();
    await world?.[Symbol.asyncDispose]();
  });

  /** Resolves when Redis holds the key. */
  const stored = (key: Uint8Array) =>
    until('stored', async () => (await world.redisClient.exists(`spw:c:${hex(key)}`)) === 1);

  it('misses what nobody put, and hits memory for what somebody did, with its age', async () => {
    const key = keyOf('first');
    const miss = await client.get(key);
    assert.deepEqual([miss.hit, miss.tier, miss.value.length], [false, '', 0]);
    const beforeMs = performance.now();
    client.put({ key, value: Buffer.from('one') });
    await client.get(key); // it has been put when this is answered
    const storedMs = performance.now();
    await delay(15);
    const leastMs = performance.now() - storedMs;
    const hit = await client.get(key);
    assert.deepEqual([hit.hit, hit.tier, textOf(hit)], [true, 'memory', 'one']);
    const mostMs = performance.now() - beforeMs;
    assert.ok(hit.ageMs > leastMs - 3 && hit.ageMs < mostMs + 3, `${leastMs} to ${mostMs} ms, got ${hit.ageMs}`);
  });

  it('reads in a message what the same message wrote, and the newer of two writes', async () => {
    const key = keyOf('same message');
    const [hit] = await Promise.all(
      client.access(
        [key],
        [
          { key, value: Buffer.from('a') },
          { key, value: Buffer.from('b') },
        ],
      ),
    );
    assert.equal(textOf(hit), 'b');
  });

  it('shares values between instances through Redis, and then has them in memory', async () => {
    await using second = await world.another({ SPILLWAY_INSTANCE: 'second' });
    await using other = await dialCache(`127.0.0.1:${second.ports.grpc}`);
    const key = keyOf('shared');
    client.put({ key, value: Buffer.from('shared value') });
    await stored(key);
    const results = [await other.get(key), await other.get(key)];
    assert.deepEqual(
      results.map(({ hit, tier }) => [hit, tier]),
      [
        [true, 'redis'],
        [true, 'memory'],
      ],
    );
    assert.deepEqual(results.map(textOf), ['shared value', 'shared value']);
  });

  it('asks Redis once for all misses of a message, and once for a key that several want', async () => {
    const keys = Array.from({ length: 64 }, (_, index) => keyOf(`nobody ${index % 60}`));
    await Promise.all(client.access([keyOf('warm')]));
    await until('nobody else is connected', async () => (await world.redisCounts()).connections === 3);
    const before = await world.redisCounts();
    const results = await Promise.all(client.access(keys));
    const after = await world.redisCounts();
    assert.ok(results.every(({ hit }) => !hit));
    assert.deepEqual([after.mget - before.mget, after.reads - before.reads - 1], [1, 1]); // 1: the INFO itself
  });

  it('answers memory hits before Redis has answered for the rest of the message', async () => {
    const here = keyOf('in memory');
    client.put({ key: here, value: Buffer.from('x') });
    await client.get(here);
    const from = client.messages.length;
    await Promise.all(client.access([keyOf('elsewhere 1'), here, keyOf('elsewhere 2')]));
    const [first, second] = client.messages.slice(from);
    assert.deepEqual([first?.length, second?.length], [1, 2]);
  });

  it('forgets a value when its time is over, in both tiers', async () => {
    const key = keyOf('short');
    const isOver = timeToLive(180); // the least that the spread makes of it
    client.put({ key, value: Buffer.from('soon gone'), ttlMs: 200 });
    assert.ok((await client.get(key)).hit || isOver());
    await until('stored', async () => (await world.redisClient.exists(`spw:c:${hex(key)}`)) === 1 || isOver());
    const leftMs = await world.redisClient.pttl(`spw:c:${hex(key)}`);
    assert.ok(leftMs <= 220 && (leftMs > 0 || isOver()), `${leftMs} ms`);
    await delay(230);
    assert.equal((await client.get(key)).hit, false);
  });

  it('gives a stale value to who allows it, from both tiers, and says that it is stale', async () => {
    await using second = await world.another({ SPILLWAY_INSTANCE: 'stale' });
    await using other = await dialCache(`127.0.0.1:${second.ports.grpc}`);
    const key = keyOf('stale');
    client.put({ key, value: Buffer.from('old'), ttlMs: 50, staleMs: 60_000 });
    await stored(key);
    await delay(60);
    assert.equal((await client.get(key)).hit, false);
    for (const [from, tier] of [
      [client, 'memory'],
      [other, 'redis'],
      [other, 'memory'],
    ] as const) {
      const result = await from.get(key, '', true);
      assert.deepEqual([result.hit, result.stale, result.tier, textOf(result)], [true, true, tier, 'old']);
    }
    assert.equal((await other.get(key)).hit, false);
  });

  it('takes what is in Redis only for the rest of its time', async () => {
    await using second = await world.another({ SPILLWAY_INSTANCE: 'third' });
    await using other = await dialCache(`127.0.0.1:${second.ports.grpc}`);
    const key = keyOf('rest');
    const isOver = timeToLive(270);
    client.put({ key, value: Buffer.from('x'), ttlMs: 300 });
    await client.get(key); // it has been put when this is answered
    const gone = delay(335); // with the most that the spread makes of it
    await until('stored', async () => (await world.redisClient.exists(`spw:c:${hex(key)}`)) === 1 || isOver());
    await delay(150);
    assert.ok((await other.get(key)).tier === 'redis' || isOver());
    await gone;
    assert.equal((await other.get(key)).hit, false);
  });

  it('spreads times to live by ± 10 %', async () => {
    const keys = Array.from({ length: 100 }, (_, index) => keyOf(`spread ${index}`));
    client.put(...keys.map((key) => ({ key, value: Buffer.from('x'), ttlMs: 1_000_000 })));
    await stored(keys.at(-1)!);
    const ttls = await Promise.all(keys.map((key) => world.redisClient.pttl(`spw:c:${hex(key)}`)));
    assert.ok(Math.min(...ttls) >= 890_000 && Math.max(...ttls) <= 1_100_000);
    assert.ok(Math.max(...ttls) - Math.min(...ttls) > 100_000);
  });

  it('treats a corrupt, foreign or misplaced value in Redis as a miss', async () => {
    const good = keyOf('good');
    client.put({ key: good, value: Buffer.from('good') });
    await stored(good);
    const bytes = (await world.redisClient.getBuffer(`spw:c:${hex(good)}`))!;
    const [flipped, cut, foreign, misplaced] = ['flipped', 'cut', 'foreign', 'misplaced'].map(keyOf) as [
      Buffer,
      Buffer,
      Buffer,
      Buffer,
    ];
    const bad = Buffer.from(bytes);
    bad[bad.length - 1]! ^= 1;
    await world.redisClient.mset(
      new Map<string, Buffer | string>([
        [`spw:c:${hex(flipped)}`, bad],
        [`spw:c:${hex(cut)}`, bytes.subarray(0, 10)],
        [`spw:c:${hex(foreign)}`, 'not ours'],
        [`spw:c:${hex(misplaced)}`, bytes],
      ]),
    );
    await world.redisClient.hset(`spw:c:${hex(keyOf('hash'))}`, 'a', 'b');
    const before = await world.metric('spillway_cache_corrupt_total');
    const results = await Promise.all(client.access([flipped, cut, foreign, misplaced, keyOf('hash')]));
    assert.ok(results.every(({ hit }) => !hit));
    assert.equal((await world.metric('spillway_cache_corrupt_total')) - before, 4);
  });

  it('does not keep a value above the bound, nor one without a proper key, and says so in a metric', async () => {
    const large = keyOf('large');
    client.put(
      { key: large, value: new Uint8Array(256 * 1024 + 1) },
      { key: Buffer.from('short'), value: Buffer.from('x') },
    );
    assert.deepEqual(
      (await Promise.all(client.access([large, Buffer.from('short')]))).map(({ hit }) => hit),
      [false, false],
    );
    assert.equal(await world.metric('spillway_cache_not_kept_total', 'reason="too_large"'), 1);
    assert.equal(await world.metric('spillway_cache_not_kept_total', 'reason="key"'), 1);
  });

  it('makes a span for a traced look-up, and none without', async () => {
    const spans: { name: string; attributes: object; parent: string | undefined }[] = [];
    const uninstall = installSink({
      resource: {} as never,
      scope: { name: 'test' },
      accept: ({ name, attributes, parentSpanContext }) =>
        spans.push({ name, attributes, parent: parentSpanContext?.spanId }),
    });
    try {
      const key = keyOf('traced');
      client.put({ key, value: Buffer.from('x') });
      await client.get(key);
      await client.get(key, '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
      await client.get(keyOf('untold'), '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
    } finally {
      uninstall();
    }
    assert.deepEqual(spans, [
      {
        name: 'cache.get',
        parent: 'b7ad6b7169203331',
        attributes: { 'spillway.cache': 'hit', 'spillway.tier': 'memory' },
      },
      { name: 'cache.get', parent: 'b7ad6b7169203331', attributes: { 'spillway.cache': 'miss' } },
    ]);
  });

  it('stops reading from a gateway that does not read its answers, loses none of them, and serves the others', async () => {
    await using slow = await dialCache(world.address);
    const key = keyOf('big');
    client.put({ key, value: Buffer.alloc(100_000, 7) });
    await client.get(key);
    slow.stream.pause();
    let answered = 0;
    const asked: Promise<void>[] = [];
    for (let round = 0; round < 300; round += 1) {
      for (const answer of slow.access([key, key])) {
        asked.push(
          answer.then(({ value }) => {
            assert.equal(value.length, 100_000);
            answered += 1;
          }),
        );
      }
      if (round % 30 === 0) assert.equal((await client.get(key)).hit, true);
      if (round === 150) {
        assert.ok(answered === 0 && process.memoryUsage.rss() < 1e9);
        slow.stream.resume();
      }
    }
    await Promise.all(asked);
    assert.equal(answered, 600);
  });
});

describe('memory', () => {
  it('stays within its bound however much is put', async () => {
    await using world = await startWorld({ CACHE_MAX_BYTES: String(1024 * 1024), CACHE_MAX_VALUE_BYTES: '65536' });
    await using client = await dialCache(world.address);
    for (let index = 0; index < 200; index += 1) {
      client.put({ key: keyOf(`fill ${index}`), value: Buffer.alloc(50_000) });
      if (index % 20 === 19) assert.equal((await client.get(keyOf(`fill ${index}`))).tier, 'memory');
    }
    const bytes = await world.metric('spillway_cache_memory_bytes');
    assert.ok(bytes > 900_000 && bytes <= 1024 * 1024, `${bytes} bytes`);
    assert.equal(await world.metric('spillway_cache_memory_entries'), 20);
    assert.ok((await world.metric('spillway_cache_evicted_total')) >= 180);
  });
});
