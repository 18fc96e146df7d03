import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { BatchQueue } from '../../src/core/batch-queue.ts';
import { BulkFloor } from '../../src/core/bulk-floor.ts';
import { Bench, doneOf, type Entry, entry, item, place, RULES } from './fixtures.ts';

/** A floor of `share` with so many rows saved. */
const floorWith = (rows: number, share = 0.25, maxRows = 8) => {
  const floor = new BulkFloor(share);
  floor.paid(rows / share, 0, maxRows);
  return floor;
};

const setUp = () => {
  const clock = new ManualClock();
  const queue = new BatchQueue<Entry>(clock, RULES);
  const push = (id: string, fields: Parameters<typeof entry>[2] = {}) => queue.push(entry(clock, id, fields));
  const take = (floor: BulkFloor, maxRows = 4, perRowMs = 0) => {
    const { batch, closedBy } = queue.take(place(maxRows, perRowMs), { floor });
    return [batch.map(({ id }) => id).join(' '), closedBy];
  };
  return { push, take };
};

test('the floor buys bulk places at the end of a full batch of others, as many as its share of it', () => {
  const { push, take } = setUp();
  for (const id of ['a', 'b', 'c', 'd', 'e']) push(id);
  for (const id of ['x', 'y']) push(id, { rank: 2 });
  assert.deepEqual(take(floorWith(8)), ['a b c x', 'size']);
  assert.deepEqual(take(new BulkFloor(0.25)), ['d e y', 'idle']);
});

test('without credit bulk gets no place, and without bulk nobody gives one up', () => {
  const { push, take } = setUp();
  for (const id of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) push(id);
  assert.deepEqual(take(floorWith(8)), ['a b c d', 'size']);
  push('x', { rank: 2 });
  assert.deepEqual(take(new BulkFloor(0.25)), ['e f g h', 'size']);
});

test('a bulk request larger than a place waits until the floor has saved all of its rows', () => {
  const { push, take } = setUp();
  for (let i = 0; i < 12; i += 1) push(`s${i}`);
  push('big', { rank: 2, rows: 3 });
  assert.deepEqual(take(floorWith(2)), ['s0 s1 s2 s3', 'size']);
  assert.deepEqual(take(floorWith(3)), ['s4 big', 'size']);
});

test('a batch that is cut for a vip gives nothing up', () => {
  const { push, take } = setUp();
  push('vip', { rank: 0, inMs: 25 });
  push('vip2', { rank: 0, inMs: 25 });
  push('x', { rank: 2 });
  assert.deepEqual(take(floorWith(8), 4, 10), ['vip vip2', 'deadline']);
});

test('bulk that may not share a batch with the others gets one of its own when a whole batch is saved', () => {
  const { push, take } = setUp();
  for (const id of ['a', 'b']) push(id);
  for (const id of ['x', 'y']) push(id, { rank: 2, key: 'other' });
  assert.deepEqual(take(floorWith(3, 0.25, 4)), ['a b', 'shape']);
  push('c');
  assert.deepEqual(take(floorWith(4, 0.25, 4)), ['x y', 'shape']);
});

test('what bulk gets on free capacity is paid from the floor too', () => {
  const floor = floorWith(8);
  floor.paid(4, 4, 8);
  assert.deepEqual(floor.placeIn(4), { rows: 1, firstRows: 4 });
  floor.paid(4, 4, 8);
  assert.equal(floor.placeIn(4).rows, 1);
  floor.paid(4, 4, 8);
  assert.equal(floor.placeIn(4).rows, 0);
});

test('under full load of standard bulk has its share of the rows, and no more', () => {
  const bench = new Bench({}, { bulkShare: 0.03 });
  bench.worker('w', 1, { maxBatchSize: 32, runMsOne: 1, runMsFull: 1 });
  let seq = 0;
  const frame = (rows: number, trafficClass: 'standard' | 'bulk') => {
    const items = Array.from({ length: rows }, () => {
      seq += 1;
      return item(seq, { budgetMs: 60_000, requestId: trafficClass });
    });
    bench.frame(items, { trafficClass });
  };
  const rows = { standard: 0, bulk: 0 };
  frame(64, 'bulk');
  for (let i = 0; i < 1_000; i += 1) {
    frame(Math.min(32, 96 - (bench.dispatcher.queues('m')?.requests.rowsOf(1) ?? 0)), 'standard');
    if ((bench.dispatcher.queues('m')?.requests.rowsOf(2) ?? 0) < 32) frame(32, 'bulk');
    const { dispatch } = bench.dispatcher.next('m');
    assert.ok(dispatch);
    for (const work of dispatch.work) rows[work.trafficClass as 'standard' | 'bulk'] += 1;
    bench.dispatcher.done('w', doneOf(dispatch.batchId));
    bench.dispatcher.credits.grant('w', 'm', 1);
  }
  const share = rows.bulk / (rows.bulk + rows.standard);
  assert.ok(share > 0.028 && share < 0.032, `${share}`);
});
