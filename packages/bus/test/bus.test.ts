import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { type Lease, MODELS } from '@spillway/contracts/buckets';
import { STREAMS, workConsumer } from '@spillway/contracts/streams';
import { resultSubject, workSubject } from '@spillway/contracts/subjects';
import { monotonicClock } from '@spillway/lifecycle/clock';
import { startNatsServer } from '@spillway/testing/nats-server';
import type { Bus } from '../src/bus.ts';
import { clientOf, connectBus } from '../src/connect.ts';
import { openBucket } from '../src/kv.ts';
import { keepLease, watchLeases } from '../src/leases.ts';
import { type PulledMessage, PullSource } from '../src/pull.ts';
import { pause } from './pause.ts';

let nats: Awaited<ReturnType<typeof startNatsServer>>;
let bus: Bus;

before(async () => {
  nats = await startNatsServer();
  bus = await connectBus({ url: nats.url, service: 'gateway', instance: 'gateway-test' });
});

after(async () => {
  await bus.drain();
  await nats.stop();
});

const bytes = (text: string) => Buffer.from(text);
const isUp = (of: Bus) => new Promise<void>((resolve) => of.onUp(resolve));
const isDown = (of: Bus) => new Promise<void>((resolve) => of.onDown(resolve));

/** Pulls one message and resolves with it. */
async function pullOne(
  consumer: Parameters<typeof workConsumer>,
): Promise<{ message: PulledMessage; source: PullSource }> {
  const got = Promise.withResolvers<PulledMessage>();
  const source: PullSource = new PullSource(bus, workConsumer(...consumer), got.resolve, () => source.request(1));
  source.start();
  return { message: await got.promise, source };
}

test('streams exist once connected and refuse rather than forget: discard is new everywhere', async () => {
  for (const spec of STREAMS) await clientOf(bus).applyStream(spec); // reads back and throws if the server keeps something else
});

test('a message published into a stream is pulled with its place and can be acknowledged', async () => {
  const ack = await bus.publishToStream(workSubject('vip', 'one'), bytes('hello'));
  assert.equal(ack.stream, 'SPILLWAY_WORK_VIP');
  const { message, source } = await pullOne(['vip', 'one', 60_000]);
  assert.deepEqual([Buffer.from(message.payload).toString(), message.deliveries, message.pending], ['hello', 1, 0]);
  message.ack();
  await source.stop();
});

test('what was pulled and handed back comes again, counted', async () => {
  await bus.publishToStream(workSubject('bulk', 'two'), bytes('x'));
  const first = await pullOne(['bulk', 'two', 60_000]);
  first.message.nak();
  await first.source.stop();
  const second = await pullOne(['bulk', 'two', 60_000]);
  assert.equal(second.message.deliveries, 2);
  second.message.ack();
  await second.source.stop();
});

test('what was on its way to a source that is stopped comes again at once', async () => {
  const spec: Parameters<typeof workConsumer> = ['standard', 'late', 60_000]; // `ack_wait`: without a word it would come in a minute
  for (let n = 0; n < 20; n += 1) {
    await bus.publishToStream(workSubject('standard', 'late'), bytes(String(n)));
    const ready = Promise.withResolvers<void>();
    const leaving = new PullSource(bus, workConsumer(...spec), () => assert.fail('it is stopped'), ready.resolve);
    leaving.start();
    await ready.promise;
    leaving.request(1);
    await new Promise(setImmediate); // the client sends what it was given in a later turn
    pause(n); // the longer, the surer the answer lies in the socket when it is stopped
    await leaving.stop();
    const { message, source } = await pullOne(spec);
    assert.equal(Buffer.from(message.payload).toString(), String(n));
    message.ack();
    await source.stop();
  }
});

test('exactly as many messages come as were asked for', async () => {
  for (let i = 0; i < 5; i += 1) await bus.publishToStream(workSubject('standard', 'three'), bytes(String(i)));
  const got: string[] = [];
  const enough = Promise.withResolvers<void>();
  const source = new PullSource(
    bus,
    workConsumer('standard', 'three', 60_000),
    (message) => {
      got.push(Buffer.from(message.payload).toString());
      message.ack();
      if (got.length === 3 || got.length === 5) enough.resolve();
    },
    () => {
      if (got.length === 0) source.request(3);
    },
  );
  source.start();
  await enough.promise;
  await clientOf(bus).flush();
  assert.deepEqual([got, source.outstanding], [['0', '1', '2'], 0]);
  source.request(2);
  while (got.length < 5) await clientOf(bus).flush();
  await source.stop();
});

test('the first result of a job stays: the second is a CONFLICT', async () => {
  await bus.publishToStream(resultSubject('t', 'job-1'), bytes('first'));
  await assert.rejects(bus.publishToStream(resultSubject('t', 'job-1'), bytes('second')), { code: 'CONFLICT' });
});

test('a stream at its bound answers OVERLOADED and names the knob', async () => {
  await clientOf(bus).applyStream({
    name: 'TINY',
    subjects: ['tiny.*'],
    storage: 'memory',
    retention: 'workqueue',
    maxBytes: 1_000,
    maxAgeMs: 60_000,
    duplicateWindowMs: 1_000,
  });
  const fill = async () => {
    for (let i = 0; i < 10; i += 1) await bus.publishToStream('tiny.a', Buffer.alloc(300));
  };
  await assert.rejects(fill(), { code: 'OVERLOADED', reason: 'queue_bound', retryAfterMs: 1_000 });
});

test('a message that is too large is refused before it is sent, and nothing of it stays behind', async () => {
  const large = Buffer.alloc(bus.maxPayload + 1);
  await assert.rejects(bus.publishToStream(workSubject('vip', 'large'), large), { code: 'PAYLOAD_TOO_LARGE' });
});

test('a subject that no stream takes is UNAVAILABLE at once', async () => {
  await assert.rejects(bus.publishToStream('nobody.listens', bytes('x')), { code: 'UNAVAILABLE' });
});

test('a bucket gives back what was put, and watchers see present and later entries', async () => {
  const bucket = openBucket<{ n: number }>(bus, MODELS);
  await bucket.put('m1', { n: 1 });
  assert.deepEqual(await bucket.get('m1'), { n: 1 });
  assert.equal(await bucket.get('absent'), undefined);
  const seen: [string, number | undefined][] = [];
  const done = Promise.withResolvers<void>();
  const watch = bucket.watch((key, value) => {
    seen.push([key, value?.n]);
    if (value === undefined) done.resolve();
  });
  await bucket.put('m1', { n: 2 });
  await bucket.delete('m1');
  await done.promise;
  watch.stop();
  assert.deepEqual(seen.at(-1), ['m1', undefined]);
});

test('an entry that is no JSON counts as none, and the watch goes on', async () => {
  const bucket = openBucket<{ n: number }>(bus, MODELS);
  await bucket.put('broken', { n: 1 });
  const seen: [string, number | undefined][] = [];
  const after = Promise.withResolvers<void>();
  const watch = bucket.watch((key, value) => {
    seen.push([key, value?.n]);
    if (key === 'after') after.resolve();
  });
  await watch.loaded;
  await (await clientOf(bus).kv(MODELS)).put('broken', bytes('{'));
  await bucket.put('after', { n: 2 });
  await after.promise;
  watch.stop();
  assert.deepEqual(seen.slice(-2), [
    ['broken', undefined],
    ['after', 2],
  ]);
  assert.equal(await bucket.get('broken'), undefined);
});

test('while NATS is away everything fails at once; after its return streams, pulls, leases and watches are there again', async () => {
  const lease: Lease = { service: 'batcher', instance: bus.instance, address: '127.0.0.1:1', state: 'ready' };
  const kept = keepLease(bus, () => lease);
  const watch = watchLeases(bus, 'batcher', monotonicClock);
  const inFlight = Promise.withResolvers<PulledMessage>();
  const source: PullSource = new PullSource(bus, workConsumer('vip', 'four', 250), inFlight.resolve, () =>
    source.request(1),
  );
  source.start();

  const down = isDown(bus);
  nats.kill('SIGKILL');
  await down;
  let turns = 0;
  setImmediate(() => {
    turns += 1;
  });
  assert.equal(bus.publish('x', bytes('x')), false);
  await assert.rejects(bus.publishToStream(workSubject('vip', 'four'), bytes('x')), {
    code: 'UNAVAILABLE',
    reason: 'bus',
  });
  assert.equal(turns, 0, 'fails at once: it waits for no timer and no socket');

  await nats.restart();
  await isUp(bus);
  await bus.publishToStream(workSubject('vip', 'four'), bytes('after'));
  const message = await inFlight.promise;
  assert.equal(Buffer.from(message.payload).toString(), 'after');
  message.ack();
  const back = Promise.withResolvers<void>();
  const look = () => watch.list().length === 1 && back.resolve();
  watch.onChange(look);
  look();
  await back.promise;
  watch.stop();
  await kept.release();
  await source.stop();
});

test('a publish in flight when NATS dies is settled at once, not by its timeout', async () => {
  const other = await startNatsServer();
  await using lonely = await connectBus({ url: other.url, service: 'gateway', instance: 'gateway-lonely' });
  other.kill('SIGSTOP');
  const publishing = assert.rejects(
    lonely.publishToStream(workSubject('vip', 'm'), bytes('x'), { timeoutMs: 60_000 }),
    { code: 'UNAVAILABLE' },
  );
  other.kill('SIGKILL');
  await publishing;
  await other.stop();
});

test('an entry is created once, and entries are given in pages in the order they were written', async () => {
  const bucket = openBucket<number>(bus, { name: 'pages', storage: 'memory', ttlMs: 0 });
  assert.deepEqual(await bucket.page('a.*', 0, 10), []);
  for (const [n, key] of ['a.one', 'b.one', 'a.two', 'a.three'].entries())
    assert.equal(await bucket.create(key, n), true);
  assert.equal(await bucket.create('a.two', 9), false);
  await bucket.delete('a.one');
  const first = await bucket.page('a.*', 0, 1);
  assert.deepEqual(
    first.map(({ key, value }) => [key, value]),
    [['a.two', 2]],
  );
  const rest = await bucket.page('a.*', first[0]!.revision, 10);
  assert.deepEqual(
    rest.map(({ key, value }) => [key, value]),
    [['a.three', 3]],
  );
  assert.deepEqual(await bucket.page('a.*', rest[0]!.revision, 10), []);
});

test('an entry is replaced only as it was read, and a full bucket refuses what is new', async () => {
  const bucket = openBucket<string>(bus, { name: 'bounded', storage: 'memory', ttlMs: 0, maxBytes: 2_000 });
  await bucket.create('a', 'first');
  const { value, revision, storedAtMs } = (await bucket.read('a'))!;
  assert.equal(value, 'first');
  assert.ok(Math.abs(Date.now() - storedAtMs) < 600_000);
  assert.equal(await bucket.replace('a', 'second', revision), true);
  assert.equal(await bucket.replace('a', 'third', revision), false);
  assert.equal(await bucket.get('a'), 'second');
  await assert.rejects(bucket.create('b', 'x'.repeat(4_000)), { code: 'OVERLOADED', reason: 'bucket_full' });
  await bucket.delete('a');
  assert.equal(await bucket.read('a'), undefined);
});

test('a process that closes its bus while watches are being opened ends by itself', async () => {
  const module = (name: string): string => JSON.stringify(new URL(`../src/${name}.ts`, import.meta.url).href);
  const code = `
    const { connectBus } = await import(${module('connect')});
    const { openBucket } = await import(${module('kv')});
    const spec = { name: 'spillway_keys', storage: 'file', ttlMs: 0 };
    for (let round = 0; round < 40; round += 1) {
      const bus = await connectBus({ url: ${JSON.stringify(nats.url)}, service: 'cache', instance: 'closing' });
      const buckets = Array.from({ length: 6 }, () => openBucket(bus, spec));
      await Promise.all(buckets.map((bucket) => bucket.get('any')));
      for (const bucket of buckets) bucket.watch(() => undefined);
      for (let turn = 0; turn < round; turn += 1) await new Promise(setImmediate); // each time a little further on
      await bus.drain();
    }`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: 'inherit' });
  const stuck = setTimeout(() => child.kill('SIGKILL'), 300_000);
  assert.deepEqual(await once(child, 'exit'), [0, null]);
  clearTimeout(stuck);
});
