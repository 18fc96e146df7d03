import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { FEATURES_METHOD, type FeatureRows } from '@spillway/contracts/messages';
import { installSink } from '@spillway/telemetry/span-sink';
import { dialFeatures, type FetchClient, readRows } from '../support/fetch-client.ts';
import { putMonthly, putProfiles, startWorld, type World } from '../support/world.ts';

const HOUR_MS = 3_600_000;

describe('fetching features', () => {
  let world: World;
  let client: FetchClient;

  before(async () => {
    world = await startWorld();
    client = await dialFeatures(world.address);
    const profiles = Array.from({ length: 64 }, (_, index) => ({
      id: `c${index}`,
      limitBal: index * 1_000,
      education: index % 4,
      updatedMs: Date.now(),
    }));
    putProfiles(world.sqlitePath, profiles);
    await Promise.all(
      profiles.map(({ id }, index) => putMonthly(world.redisClient, id, { balance: index, late: index % 2 === 1 })),
    );
  });
  after(async () => {
    await client?.[Symbol.asyncDispose]();
    await world?.[Symbol.asyncDispose]();
  });

  it('joins both sources into rows in the order of the entities, views in the order asked', async () => {
    const rows = await client.fetch({ views: ['profile', 'monthly'], entities: ['c3', 'c1', 'c3'] });
    assert.deepEqual([rows.errorCode, rows.views.map(({ view }) => view)], ['', ['profile', 'monthly']]);
    assert.deepEqual(readRows(rows, 'profile').values, [
      [3_000, 3],
      [1_000, 1],
      [3_000, 3],
    ]);
    assert.deepEqual(readRows(rows, 'monthly').values, [
      [3, 1],
      [1, 1],
      [3, 1],
    ]);
    assert.ok(rows.views.every(({ status }) => status.every((value) => value === 0)));
  });

  it('marks unknown entities missing, old values stale, and what cannot be read default', async () => {
    const { redisClient, sqlitePath } = world;
    await putMonthly(redisClient, 'old', { balance: 4, late: true }, Date.now() - HOUR_MS);
    await putMonthly(redisClient, 'partly', { balance: 'much' });
    await redisClient.hset('spw:f:{cut}:monthly', { d: '{"balance": 1', v: 1, ts: Date.now() });
    await redisClient.hset('spw:f:{next}:monthly', { d: '{"balance": 1}', v: 2, ts: Date.now() });
    await redisClient.set('spw:f:{text}:monthly', 'not a hash');
    putProfiles(sqlitePath, [
      { id: 'old', limitBal: 5, education: 1, updatedMs: Date.now() - HOUR_MS },
      { id: 'partly', limitBal: null, education: 3, updatedMs: Date.now() },
    ]);
    const rows = await client.fetch({ entities: ['nobody', 'old', 'partly', 'cut', 'next', 'text', 'c1'] });
    assert.deepEqual(readRows(rows, 'monthly'), {
      values: [
        [-1, 0],
        [4, 1],
        [-1, 0],
        [-1, 0],
        [-1, 0],
        [-1, 0],
        [1, 1],
      ],
      status: [
        ['missing', 'missing'],
        ['stale', 'stale'],
        ['default', 'missing'],
        ['default', 'default'],
        ['default', 'default'],
        ['default', 'default'],
        ['present', 'present'],
      ],
    });
    assert.deepEqual(readRows(rows, 'profile').values.slice(0, 3), [
      [100_000, 2],
      [5, 1],
      [100_000, 3],
    ]);
    assert.deepEqual(readRows(rows, 'profile').status.slice(0, 3), [
      ['missing', 'missing'],
      ['stale', 'stale'],
      ['missing', 'present'],
    ]);
  });

  it('asks each source at most 4 times for 64 concurrent calls of two gateways that arrive within 10 ms', async () => {
    await using second = await dialFeatures(world.address);
    for (let round = 0; round < 5; round += 1) {
      await delay(20); // quiet
      const before = await counts(world);
      const arrivals = await burst([client, second]);
      const after = await counts(world);
      const trips = { redis: after.redisReads - before.redisReads - 1, sqlite: after.sqlite - before.sqlite }; // 1: the INFO
      assert.equal(after.hmget - before.hmget, 64);
      const spreadMs = Math.max(...arrivals) - Math.min(...arrivals);
      console.log(`64 calls arrived within ${spreadMs.toFixed(1)} ms:`, trips);
      // On a busy machine they come more slowly than they were sent, in clumps: two departures in each window at most.
      const most = spreadMs <= 10 ? 4 : 1 + 2 * Math.ceil(spreadMs / 5);
      assert.ok(trips.redis <= most, `${trips.redis} reads at Redis`);
      assert.ok(trips.sqlite <= most, `${trips.sqlite} statements at SQLite`);
    }
  });

  it('asks once for an entity that many want at once', async () => {
    await delay(20);
    const before = await counts(world);
    const answers = await client.fetchAll(Array.from({ length: 200 }, () => ({ entities: ['c5'] })));
    assert.ok(answers.every((rows) => readRows(rows, 'monthly').values[0]?.[0] === 5));
    const after = await counts(world);
    assert.deepEqual([after.hmget - before.hmget, after.sqlite - before.sqlite], [1, 1]);
  });

  it('answers what breaks a rule with a typed error, and the rest of the message as usual', async () => {
    const [unknown, bad, good] = await client.fetchAll([
      { views: ['nope'], entities: ['c1'] },
      { entities: ['c1', 'a b'] },
      { entities: ['c1'] },
    ]);
    assert.deepEqual([unknown?.errorCode, bad?.errorCode, good?.errorCode], ['NOT_FOUND', 'INVALID_REQUEST', '']);
    assert.match(unknown?.errorMessage ?? '', /^views\[0\]: expected a view that is served here \(monthly, profile\)$/);
    assert.match(bad?.errorMessage ?? '', /^entities\[1\]: expected/);
    assert.equal(good?.views.length, 2);
  });

  it('makes one span for a traced fetch with one below it for each source', async () => {
    const spans: { name: string; attributes: object; parent: string | undefined; id: string }[] = [];
    const uninstall = installSink({
      resource: {} as never,
      scope: { name: 'test' },
      accept: (span) =>
        spans.push({
          name: span.name,
          attributes: span.attributes,
          parent: span.parentSpanContext?.spanId,
          id: span.spanContext().spanId,
        }),
    });
    try {
      await client.fetchAll([
        { entities: ['c1', 'c2'], traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
        { entities: ['c3'] },
      ]);
    } finally {
      uninstall();
    }
    const [root, ...below] = spans;
    assert.deepEqual([root?.name, root?.parent], ['features.fetch', 'b7ad6b7169203331']);
    assert.deepEqual(
      below
        .map(({ name, parent, attributes }) => ({ name, parent, attributes }))
        .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
      ['redis', 'sqlite'].map((source) => ({
        name: 'features.source',
        parent: root?.id,
        attributes: {
          'spillway.source': source,
          'spillway.view': source === 'redis' ? 'monthly' : 'profile',
          'spillway.entities': 3,
          'spillway.merged_calls': 2,
        },
      })),
    );
  });

  it('ends only the stream whose message cannot be read', async () => {
    const { dialDuplex } = await import('@spillway/rpc/duplex');
    const down = Promise.withResolvers<string>();
    const raw = dialDuplex<unknown, Uint8Array>({
      address: world.address,
      method: {
        path: FEATURES_METHOD.path,
        request: { encode: (b: Uint8Array) => b, decode: (b) => b },
        response: FEATURES_METHOD.response,
      },
      connectTimeoutMs: 60_000,
      onUp: () => raw.send(Uint8Array.from([0xff, 0xff, 0xff])),
      onMessage: () => undefined,
      onDown: (reason) => down.resolve(reason.code),
    });
    assert.equal(await down.promise, 'INVALID_REQUEST');
    await raw.close();
    assert.equal((await client.fetch({ entities: ['c1'] })).errorCode, '');
  });

  it('stops reading from a gateway that does not read its answers, loses none of them, and serves the others', async () => {
    await using slow = await dialFeatures(world.address);
    const entities = Array.from({ length: 1_000 }, (_, index) => `c${index % 64}`);
    slow.stream.pause();
    const rounds = 1_200; // about 20 KB each: six times what is held for one reader
    let answered = 0;
    const sending: Promise<void>[] = [];
    for (let round = 0; round < rounds; round += 1) {
      while (slow.stream.bufferedBytes > 1_000_000) await delay(1);
      sending.push(
        slow.fetch({ entities }).then(() => {
          answered += 1;
        }),
      );
      if (round % 50 === 0) assert.equal((await client.fetch({ entities: ['c1'] })).errorCode, '');
      if (round === 600) slow.stream.resume();
    }
    await Promise.all(sending);
    assert.equal(answered, rounds);
  });
});

/** 64 calls, one entity each, sent over 9 ms and checked. @returns When each arrived at the service, ms. */
async function burst(gateways: readonly FetchClient[]): Promise<number[]> {
  const arrivals: number[] = [];
  const uninstall = installSink({
    resource: {} as never,
    scope: { name: 'test' },
    accept: ({ name, startTime: [seconds, nanoseconds] }) => {
      if (name === 'features.fetch') arrivals.push(seconds * 1e3 + nanoseconds / 1e6);
    },
  });
  try {
    const startMs = performance.now();
    const answers: Promise<void>[] = [];
    for (let index = 0; index < 64; index += 1) {
      while (performance.now() - startMs < (index * 9) / 63) await new Promise((resolve) => setImmediate(resolve));
      const check = (rows: FeatureRows) => {
        assert.deepEqual(readRows(rows, 'monthly').values, [[index, index % 2]]);
        assert.deepEqual(readRows(rows, 'profile').values, [[index * 1_000, index % 4]]);
      };
      const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
      answers.push(gateways[index % 2]!.fetch({ entities: [`c${index}`], traceparent }).then(check));
    }
    await Promise.all(answers);
  } finally {
    uninstall();
  }
  return arrivals;
}

/** Read events of Redis' sockets, HMGETs it ran, statements run in SQLite. */
async function counts(world: World): Promise<{ redisReads: number; hmget: number; sqlite: number }> {
  const info = await world.redisClient.info('everything');
  const number = (pattern: RegExp) => Number(pattern.exec(info)?.[1] ?? 0);
  return {
    redisReads: number(/total_reads_processed:(\d+)/),
    hmget: number(/cmdstat_hmget:calls=(\d+)/),
    sqlite: await world.metric('spillway_features_round_trips_total', 'source="sqlite"'),
  };
}
