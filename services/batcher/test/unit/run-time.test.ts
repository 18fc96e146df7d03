import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { seededRandom } from '@spillway/testing/seeded-random';
import { ackWaitMs } from '../../src/core/pull-windows.ts';
import { RunTime } from '../../src/core/run-time.ts';
import { Bench } from './fixtures.ts';

const near = (actual: number, expected: number, share = 0.01) =>
  assert.ok(Math.abs(actual - expected) <= share * expected, `expected about ${expected}, got ${actual}`);

const learned = (warmUp = { runMsOne: 4.5, runMsFull: 20, maxRows: 32 }) => new RunTime(new ManualClock(), warmUp);

test('the prediction starts as the line through the two warm-up times', () => {
  const time = learned({ runMsOne: 42, runMsFull: 104, maxRows: 32 });
  near(time.predictMs(1), 42);
  near(time.predictMs(32), 104);
  near(time.predictMs(16), 72);
});

test('batches of several sizes teach both terms of the line', () => {
  const random = seededRandom(1);
  const time = learned({ runMsOne: 1, runMsFull: 1, maxRows: 32 });
  for (let i = 0; i < 400; i += 1) {
    const rows = 1 + Math.floor(random() * 32);
    time.observe(rows, (4 + 0.5 * rows) * (0.9 + 0.2 * random()), 32);
  }
  near(time.baseMs, 4, 0.1);
  near(time.rowMs, 0.5, 0.05);
});

test('with batches of one size the two terms keep their proportion', () => {
  const time = learned();
  for (let i = 0; i < 1_000; i += 1) time.observe(32, 40, 32);
  near(time.predictMs(32), 40);
  near(time.predictMs(1), 9, 0.1);
});

test('a machine that becomes slower after hours of full batches is noticed within a hundred of them', () => {
  const random = seededRandom(2);
  const time = learned();
  const noise = () => 0.95 + 0.1 * random();
  for (let i = 0; i < 20_000; i += 1) time.observe(32, 20 * noise(), 32);
  near(time.predictMs(32), 20, 0.03);
  near(time.predictMs(1), 4.5, 0.15);
  for (let i = 0; i < 100; i += 1) time.observe(32, 50 * noise(), 32);
  near(time.predictMs(32), 50, 0.15);
  for (let i = 0; i < 100; i += 1) time.observe(32, 10 * noise(), 32);
  near(time.predictMs(32), 10, 0.3);
});

test('the terms never fall below zero and a microsecond, whatever is measured', () => {
  const random = seededRandom(3);
  const time = learned();
  for (let i = 0; i < 5_000; i += 1) {
    time.observe(1 + Math.floor(random() * 32), random() < 0.2 ? 0 : 30 * random(), 32);
    assert.ok(time.baseMs >= 0 && time.rowMs >= 0.001, `${time.baseMs} + ${time.rowMs}`);
    assert.ok(time.predictMs(32) < 200, `${time.predictMs(32)}`);
  }
});

test('one stall moves a learned time little, and figures that are none do not move it', () => {
  const time = learned();
  for (let i = 0; i < 200; i += 1) time.observe(1 + (i % 32), 4 + 0.5 * (1 + (i % 32)), 32);
  time.observe(32, 5_000, 32);
  near(time.predictMs(32), 20, 0.15);
  const before = time.predictMs(32);
  time.observe(32, Number.NaN, 32);
  time.observe(0, 10, 32);
  assert.equal(time.predictMs(32), before);
});

test('the margin of a prediction is two mean deviations', () => {
  const time = learned();
  for (let i = 0; i < 2_000; i += 1) time.observe(32, i % 2 === 0 ? 18 : 22, 32);
  near(time.cv, 0.1, 0.2);
  const { baseMs, rowMs } = time.prediction(32);
  near(baseMs + 32 * rowMs, time.predictMs(32) * (1 + 2 * time.cv));
});

test('the largest batch within a limit is found, at least one row and at most a full batch', () => {
  const time = learned({ runMsOne: 4.5, runMsFull: 20, maxRows: 32 });
  assert.equal(time.rowsWithin(1_000), 32);
  const rows = time.rowsWithin(15);
  assert.ok(time.predictMs(rows) * (1 + 2 * time.cv) <= 15);
  assert.ok(time.predictMs(rows + 1) * (1 + 2 * time.cv) > 15);
  assert.equal(time.rowsWithin(1), 1);
});

test('it is trusted only while batches end', () => {
  const clock = new ManualClock();
  const time = new RunTime(clock, { runMsOne: 1, runMsFull: 4, maxRows: 4 });
  assert.equal(time.trusted, false);
  time.observe(4, 4, 4);
  assert.equal(time.trusted, true);
  clock.advance(1_000);
  assert.equal(time.trusted, false);
});

test('a warm-up without figures, or one that fell, gives a usable line', () => {
  assert.ok(learned({ runMsOne: 0, runMsFull: 0, maxRows: 1 }).predictMs(1) > 0);
  const falling = learned({ runMsOne: 9, runMsFull: 3, maxRows: 8 });
  assert.ok(falling.predictMs(8) >= falling.predictMs(1));
});

test('ack_wait is three full batches in steps that neighbouring batchers share', () => {
  const waitFor = (runMsFull: number): number => {
    const bench = new Bench();
    bench.worker('w', 1, { runMsFull });
    return ackWaitMs(bench.dispatcher.credits.slotsOf('m'));
  };
  assert.deepEqual([waitFor(1), waitFor(100), waitFor(110), waitFor(1_000)], [250, 500, 500, 4_000]);
});
