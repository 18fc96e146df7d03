import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { BatchQueue, type Taken } from '../../src/core/batch-queue.ts';
import { type Entry, entry, place, RULES } from './fixtures.ts';

const setUp = (rules = {}) => {
  const clock = new ManualClock();
  const queue = new BatchQueue<Entry>(clock, { ...RULES, ...rules });
  const push = (id: string, fields: Parameters<typeof entry>[2] = {}) => queue.push(entry(clock, id, fields));
  return { clock, queue, push };
};

const ids = ({ batch, expired, closedBy }: Taken<Entry>) => ({
  batch: batch.map(({ id }) => id).join(' '),
  expired: expired.map(({ id }) => id).join(' '),
  closedBy,
});

test('a batch takes classes in order, and in a class the earliest deadline first', () => {
  const { queue, push } = setUp();
  push('bulk', { rank: 2, inMs: 10 });
  push('late', { rank: 1, inMs: 900 });
  push('soon', { rank: 1, inMs: 100 });
  push('vip', { rank: 0, inMs: 5_000 });
  assert.deepEqual(ids(queue.take(place(8))), { batch: 'vip soon late bulk', expired: '', closedBy: 'idle' });
});

test('requests with equal deadlines leave in the order they came', () => {
  const { queue, push } = setUp();
  for (const id of ['a', 'b', 'c', 'd']) push(id);
  assert.equal(ids(queue.take(place(8))).batch, 'a b c d');
});

test('a batch never has more rows than the instance takes, and what is left stays in order', () => {
  const { queue, push } = setUp();
  for (const id of ['a', 'b', 'c']) push(id, { rows: 2 });
  assert.deepEqual(ids(queue.take(place(5))), { batch: 'a b', expired: '', closedBy: 'size' });
  assert.equal(queue.rowsOf(1), 2);
  assert.deepEqual(ids(queue.take(place(5))), { batch: 'c', expired: '', closedBy: 'idle' });
  assert.equal(queue.empty, true);
});

test('a small request fills the room that a larger one before it does not fit into', () => {
  const { queue, push } = setUp();
  push('a', { rows: 3 });
  push('b', { rows: 2 });
  push('c', { rows: 1 });
  assert.deepEqual(ids(queue.take(place(4))), { batch: 'a c', expired: '', closedBy: 'size' });
});

test('a request with more rows than a batch may have goes alone', () => {
  const { queue, push } = setUp();
  push('giant', { rows: 9, inMs: 10 });
  push('a', { inMs: 20 });
  assert.deepEqual(ids(queue.take(place(4))), { batch: 'giant', expired: '', closedBy: 'size' });
});

test('the first request decides the key; others wait, and the batch says so', () => {
  const { queue, push } = setUp();
  push('a1', { key: 'a', inMs: 10 });
  push('b1', { key: 'b', inMs: 20 });
  push('a2', { key: 'a', inMs: 30 });
  assert.deepEqual(ids(queue.take(place(8))), { batch: 'a1 a2', expired: '', closedBy: 'shape' });
  assert.deepEqual(ids(queue.take(place(8))), { batch: 'b1', expired: '', closedBy: 'idle' });
});

test('the sum of costs closes a batch, but never keeps a single request from running', () => {
  const { queue, push } = setUp({ maxBatchCost: 100 });
  push('a', { cost: 60 });
  push('b', { cost: 60 });
  push('c', { cost: 500 });
  assert.deepEqual(ids(queue.take(place(8))), { batch: 'a', expired: '', closedBy: 'cost' });
  assert.deepEqual(ids(queue.take(place(8))), { batch: 'b', expired: '', closedBy: 'cost' });
  assert.deepEqual(ids(queue.take(place(8))), { batch: 'c', expired: '', closedBy: 'idle' });
});

test('a batch stays below the bytes that its message may have', () => {
  const { queue, push } = setUp({ maxBatchBytes: 100 });
  for (const id of ['a', 'b', 'c']) push(id, { bytes: 40 });
  assert.deepEqual(ids(queue.take(place(8))), { batch: 'a b', expired: '', closedBy: 'size' });
});

test('what has passed its deadline is out of the queue and never runs', () => {
  const { clock, queue, push } = setUp();
  push('late', { rank: 0, inMs: 10 });
  push('ok', { rank: 2, inMs: 500 });
  clock.advance(10);
  assert.deepEqual(ids(queue.take(place(8))), { batch: 'ok', expired: 'late', closedBy: 'idle' });
  assert.equal(queue.rowsOf(0), 0);
});

test('what could not make it even alone is not started', () => {
  const { queue, push } = setUp();
  push('hopeless', { inMs: 4 });
  push('ok', { inMs: 500 });
  assert.deepEqual(ids(queue.take(place(8, 5))), { batch: 'ok', expired: 'hopeless', closedBy: 'idle' });
});

test('a prediction that nothing has confirmed lately drops nothing', () => {
  const { queue, push } = setUp();
  push('a', { inMs: 4 });
  push('b', { inMs: 500 });
  assert.deepEqual(ids(queue.take(place(8, 5, { trusted: false }))), { batch: 'a b', expired: '', closedBy: 'idle' });
});

test('the time until the instance can begin and the way back count', () => {
  const { queue, push } = setUp({ replyMarginMs: 10 });
  push('a', { inMs: 29 });
  assert.equal(ids(queue.take(place(8, 5, { startInMs: 15 }))).expired, 'a');
  push('b', { inMs: 30 });
  assert.equal(ids(queue.take(place(8, 5, { startInMs: 15 }))).batch, 'b');
});

test('with nothing else waiting a batch shrinks until its tightest request makes it', () => {
  const { queue, push } = setUp();
  push('tight', { inMs: 25 });
  for (const id of ['a', 'b', 'c']) push(id, { inMs: 500 });
  assert.deepEqual(ids(queue.take(place(8, 10))), { batch: 'tight a', expired: '', closedBy: 'deadline' });
  assert.deepEqual(ids(queue.take(place(8, 10))), { batch: 'b c', expired: '', closedBy: 'idle' });
});

test('when others wait the size stays and who cannot make it with that size is dropped', () => {
  const { queue, push } = setUp();
  push('tight', { inMs: 25 });
  for (const id of ['a', 'b', 'c', 'd']) push(id, { inMs: 500 });
  assert.deepEqual(ids(queue.take(place(4, 10))), { batch: 'a b c d', expired: 'tight', closedBy: 'size' });
});

test('a vip is never dropped for size: the batch shrinks', () => {
  const { queue, push } = setUp();
  push('vip', { rank: 0, inMs: 25 });
  for (const id of ['a', 'b', 'c', 'd']) push(id, { inMs: 500 });
  assert.deepEqual(ids(queue.take(place(4, 10))), { batch: 'vip a', expired: '', closedBy: 'deadline' });
});

test('when nobody makes it with the full size the batch shrinks instead of dropping everybody', () => {
  const { queue, push } = setUp();
  for (const id of ['a', 'b', 'c', 'd', 'e']) push(id, { inMs: 25 });
  assert.deepEqual(ids(queue.take(place(4, 10))), { batch: 'a b', expired: '', closedBy: 'deadline' });
});

test('without a delay a free instance takes what is there', () => {
  const { queue, push } = setUp();
  assert.equal(queue.dueInMs(place(4), 0), Number.POSITIVE_INFINITY);
  push('a');
  assert.equal(queue.dueInMs(place(4), 0), 0);
});

test('with a delay a batch leaves when it is full, when the first has waited long enough, or when its time runs out', () => {
  const { clock, queue, push } = setUp();
  const linger = { lingerMs: 20 };
  push('a', { inMs: 500 });
  clock.advance(5);
  push('b', { inMs: 500 });
  assert.equal(queue.dueInMs(place(4), 20), 15);
  clock.advance(15);
  assert.equal(queue.dueInMs(place(4), 20), 0);
  assert.deepEqual(ids(queue.take(place(4), linger)), { batch: 'a b', expired: '', closedBy: 'delay' });

  for (const id of ['c', 'd', 'e', 'f']) push(id);
  assert.equal(queue.dueInMs(place(4), 20), 0);
  assert.equal(queue.take(place(4), linger).closedBy, 'size');

  push('tight', { inMs: 12 });
  assert.equal(queue.dueInMs(place(4, 10), 20), 2);
  clock.advance(2);
  assert.deepEqual(ids(queue.take(place(4, 10), linger)), { batch: 'tight', expired: '', closedBy: 'deadline' });
});

test('a drain says so, whatever the size', () => {
  const { queue, push } = setUp();
  push('a');
  assert.deepEqual(ids(queue.take(place(4), { draining: true, lingerMs: 1_000 })), {
    batch: 'a',
    expired: '',
    closedBy: 'drain',
  });
});

test('a request that goes back stands at the head of its class', () => {
  const { queue, push } = setUp();
  push('a', { inMs: 1 });
  push('back', { orderMs: Number.NEGATIVE_INFINITY });
  push('vip', { rank: 0 });
  assert.equal(ids(queue.take(place(8))).batch, 'vip back a');
});

test('an instance gets only what it serves', () => {
  const { queue, push } = setUp();
  push('old', { key: 'v1', inMs: 10 });
  push('new', { key: 'v2', inMs: 20 });
  const serves = ({ key }: Entry) => key === 'v2';
  assert.deepEqual(ids(queue.take(place(8, 0, { serves }))), { batch: 'new', expired: '', closedBy: 'idle' });
  assert.equal(queue.rowsOf(1), 1);
});

test('cancelled requests are taken out, the others keep their places', () => {
  const { queue, push } = setUp();
  for (const id of ['a', 'b', 'c']) push(id, { rows: 2 });
  assert.deepEqual(
    queue.remove(({ id }) => id === 'b').map(({ id }) => id),
    ['b'],
  );
  assert.equal(queue.rowsOf(1), 4);
  assert.equal(ids(queue.take(place(8))).batch, 'a c');
});
