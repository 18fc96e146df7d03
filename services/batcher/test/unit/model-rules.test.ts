import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelRecord } from '@spillway/contracts/buckets';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { BatchQueue } from '../../src/core/batch-queue.ts';
import { rulesOf } from '../../src/core/model-rules.ts';
import { Bench, type Entry, entry, item, place } from './fixtures.ts';

const RECORD: ModelRecord = {
  model: 'm',
  versions: ['1'],
  platform: 'test',
  backend: 'test',
  maxBatchSize: 8,
  inputs: [],
  outputs: [],
  defaultDeadlineMs: 1_000,
  maxDeadlineMs: 60_000,
  runLimitMs: 10_000,
  costRule: 'rows',
  provider: 'cpu',
};
const POLICY = { timeoutAction: 'reject', allowTimeoutOverride: true, maxQueueSize: 0 } as const;

const rules = (record: Partial<ModelRecord>) => rulesOf({ ...RECORD, ...record }, { replyMarginMs: 0 });

const setUp = (record: Partial<ModelRecord>) => {
  const clock = new ManualClock();
  const queue = new BatchQueue<Entry>(clock, rules(record));
  const push = (id: string, fields: Parameters<typeof entry>[2] = {}) => queue.push(entry(clock, id, fields));
  const names = (entries: readonly Entry[]) => entries.map(({ id }) => id).join(' ');
  return { clock, queue, push, names };
};

test('the queue delay is at most 2 ms and a twentieth of the shortest default deadline', () => {
  assert.equal(rules({}).maxQueueDelayMs, 0);
  assert.equal(rules({ maxQueueDelayMs: 1 }).maxQueueDelayMs, 1);
  assert.equal(rules({ maxQueueDelayMs: 100 }).maxQueueDelayMs, 2);
  const priorityPolicies = { vip: { ...POLICY, defaultTimeoutMs: 20 } };
  assert.equal(rules({ maxQueueDelayMs: 100, priorityPolicies }).maxQueueDelayMs, 1);
});

test('at a brown-out level nothing waits for companions', () => {
  const bench = new Bench({ maxQueueDelayMs: 2 });
  bench.worker('w', 1);
  bench.frame([item(1)]);
  assert.equal(bench.dispatcher.next('m').retryInMs, 2);
  const gateway = { rates: [], guard: 1, tenants: [], rest: [] };
  const state = { instance: 'g', epoch: 1, seq: 1, sentMs: 0, level: 1, gateway };
  bench.dispatcher.onGatewayLoad('m', state, bench.clock.now());
  bench.dispatcher.tick(bench.clock.now());
  assert.deepEqual(bench.next()?.seqs, [1]);
});

test('the largest preferred size that can be filled is taken, and says size', () => {
  const { queue, push } = setUp({ preferredBatchSizes: [6, 4] });
  for (let i = 0; i < 18; i += 1) push(String(i));
  const sizes = () => {
    const { rows, closedBy } = queue.take(place(8));
    return [rows, closedBy];
  };
  assert.deepEqual(sizes(), [6, 'size']);
  assert.deepEqual(sizes(), [6, 'size']);
  queue.remove(({ id }) => id === '17');
  assert.deepEqual(sizes(), [4, 'size']);
  assert.deepEqual(sizes(), [1, 'idle'], 'less than any preferred size: what is there');
});

test('with a delay a batch leaves as soon as it has a preferred size', () => {
  const { queue, push } = setUp({ preferredBatchSizes: [4] });
  for (const id of ['a', 'b', 'c']) push(id);
  assert.equal(queue.dueInMs(place(8), 2), 2);
  push('d');
  assert.equal(queue.dueInMs(place(8), 2), 0);
});

test('a request that waited for the timeout of its class is rejected, one of another class is not', () => {
  const { clock, queue, push, names } = setUp({ priorityPolicies: { bulk: { ...POLICY, defaultTimeoutMs: 100 } } });
  push('bulk', { rank: 2, inMs: 5_000 });
  push('standard', { inMs: 5_000 });
  clock.advance(99);
  assert.equal(names(queue.expire(undefined)), '');
  clock.advance(1);
  assert.equal(names(queue.expire(undefined)), 'bulk');
  push('late', { rank: 2, inMs: 5_000, sinceMs: clock.now() - 100 });
  const taken = queue.take(place(8));
  assert.deepEqual([names(taken.batch), names(taken.expired)], ['standard', 'late']);
});

test("a caller's own deadline counts, whatever the policy says about overriding the timeout", () => {
  const priorityPolicies = { standard: { ...POLICY, allowTimeoutOverride: false, defaultTimeoutMs: 1_000 } };
  const { clock, queue, push, names } = setUp({ priorityPolicies });
  push('short', { inMs: 50 });
  clock.advance(50);
  assert.equal(names(queue.expire(undefined)), 'short');
});

test('with the action delay it goes behind the others of its class instead, until its own deadline', () => {
  const queuePolicy = { ...POLICY, timeoutAction: 'delay' } as const;
  const { clock, queue, push, names } = setUp({ queuePolicy, defaultDeadlineMs: 100 });
  push('old', { inMs: 400 });
  clock.advance(60);
  push('young', { inMs: 500 });
  push('vip', { rank: 0, inMs: 5_000 });
  clock.advance(40);
  assert.equal(names(queue.expire(undefined)), '');
  push('bulk', { rank: 2, inMs: 5_000 });
  assert.equal(names(queue.take(place(3)).batch), 'vip young old');
  push('old', { inMs: 400 });
  clock.advance(400);
  assert.equal(names(queue.expire(undefined)), 'old');
});

test('a class holds no more requests than its policy says; those beyond it are refused', () => {
  const bench = new Bench(rules({ queuePolicy: { ...POLICY, maxQueueSize: 2 } }));
  bench.worker('w', 0);
  const { message, work } = bench.frame([item(1), item(2), item(3)]);
  assert.equal(bench.dispatcher.queues('m')?.requests.rowsOf(1), 2);
  assert.deepEqual(
    work.map(({ settled }) => settled),
    [false, false, true],
  );
  bench.frame([item(4)], { trafficClass: 'vip' });
  assert.equal(bench.dispatcher.queues('m')?.requests.rowsOf(0), 1, 'each class has its own bound');
  bench.dispatcher.credits.grant('w', 'm', 1);
  assert.deepEqual(bench.next()?.seqs, [4, 1, 2]);
  assert.deepEqual(message.said, ['ack']);
});

test('only rows of one length bucket share a batch', () => {
  const bench = new Bench(rules({ lengthBuckets: [64, 16] }));
  bench.worker('w', 3);
  bench.frame([
    item(1, { cost: 10 }),
    item(2, { cost: 100 }),
    item(3, { cost: 32, rows: 2 }),
    item(4, { cost: 17 }),
    item(5, { cost: 64 }),
  ]);
  const seqs = [];
  for (let batch = bench.next(); batch !== undefined; batch = bench.next()) {
    seqs.push(batch.seqs);
    bench.dispatcher.done('w', { ...batch, model: 'm', rows: 1, runMs: 1, errorCode: '', notStarted: false });
  }
  assert.deepEqual(seqs, [[1, 3], [2], [4, 5]]);
});

test('batches stay below two fifths of the shortest default deadline of the classes', () => {
  assert.equal(rules({}).shortestDeadlineMs, 1_000);
  assert.equal(rules({ priorityPolicies: { vip: { ...POLICY, defaultTimeoutMs: 50 } } }).shortestDeadlineMs, 50);
  const bench = new Bench({ shortestDeadlineMs: 50 });
  bench.worker('w', 1, { maxBatchSize: 32, runMsOne: 5, runMsFull: 129 });
  bench.frame(Array.from({ length: 20 }, (_, i) => item(i + 1)));
  const batch = bench.next();
  assert.deepEqual([batch?.seqs.length, batch?.closedBy], [4, 'size']);
});
