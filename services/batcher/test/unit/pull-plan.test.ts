import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameSize, planPulls, type SourceState } from '../../src/core/pull-plan.ts';

const WINDOW = { rows: 128, bytes: 64 * 1024 * 1024, leastRows: [] };

const source = (heldRows: number, outstanding: number, rowsPerFrame = 8): SourceState => ({
  heldRows,
  outstanding,
  size: new FrameSize(rowsPerFrame),
});

test('an empty batcher asks every class for a full window', () => {
  assert.deepEqual(planPulls(WINDOW, [source(0, 0), source(0, 0), source(0, 0)]), [16, 16, 16]);
});

test('held bulk blocks neither standard nor vip', () => {
  assert.deepEqual(planPulls(WINDOW, [source(0, 0), source(0, 0), source(128, 0)]), [16, 16, 0]);
});

test('held vip keeps the classes below in the stream', () => {
  assert.deepEqual(planPulls(WINDOW, [source(128, 0), source(0, 0), source(0, 0)]), [0, 0, 0]);
  assert.deepEqual(planPulls(WINDOW, [source(64, 0), source(32, 0), source(32, 0)]), [8, 4, 0]);
});

test('bulk may hold what its floor buys although higher classes fill the window', () => {
  const window = { ...WINDOW, leastRows: [0, 0, 4] };
  assert.deepEqual(planPulls(window, [source(128, 0), source(0, 0), source(0, 0)]), [0, 0, 1]);
  assert.deepEqual(planPulls(window, [source(128, 0), source(0, 0), source(4, 0)]), [0, 0, 0]);
  assert.deepEqual(planPulls(window, [source(128, 0), source(0, 0), source(0, 1)]), [0, 0, 0]);
});

test('a pull that waits at the empty vip stream takes no room from the others', () => {
  assert.deepEqual(planPulls(WINDOW, [source(0, 16), source(0, 0), source(0, 0)]), [0, 16, 16]);
});

test('a source asks again when half of what it may ask for is missing', () => {
  assert.deepEqual(planPulls(WINDOW, [source(0, 9)]), [0]);
  assert.deepEqual(planPulls(WINDOW, [source(0, 8)]), [8]);
});

test('a source with nothing outstanding and a little room asks for at least one message', () => {
  assert.deepEqual(planPulls(WINDOW, [source(127, 0)]), [1]);
  assert.deepEqual(planPulls({ ...WINDOW, rows: 2, bytes: 1 << 20 }, [source(1, 0, 64)]), [1]);
});

test('a pull has at most 32 messages', () => {
  assert.deepEqual(planPulls(WINDOW, [source(0, 0, 1)]), [32]);
});

test('messages with large tensors are asked for one by one', () => {
  const size = new FrameSize(1);
  for (let i = 0; i < 200; i += 1) size.observe(1, 4 * 1024 * 1024);
  const ask = planPulls({ ...WINDOW, bytes: 16 * 1024 * 1024 }, [{ heldRows: 0, outstanding: 0, size }]);
  assert.deepEqual(ask, [4]);
});

test('the size of a message follows what came', () => {
  const size = new FrameSize(1);
  for (let i = 0; i < 100; i += 1) size.observe(20, 2_000);
  assert.ok(Math.abs(size.rows - 20) < 0.01, `${size.rows}`);
});
