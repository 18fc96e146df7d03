import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { CostModel } from '../../src/core/cost-model.ts';
import { ackWaitMs } from '../../src/core/pull-windows.ts';
import { Bench } from './fixtures.ts';

const near = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 0.01 * expected, `expected about ${expected}, got ${actual}`);

test('the prediction starts as the line through the two warm-up times', () => {
  const model = new CostModel(new ManualClock(), { runMsOne: 42, runMsFull: 104, maxRows: 32 });
  near(model.predictMs(1), 42);
  near(model.predictMs(32), 104);
  near(model.predictMs(16), 72);
});

test('it follows what batches really take', () => {
  const model = new CostModel(new ManualClock(), { runMsOne: 1, runMsFull: 4, maxRows: 4 });
  for (let i = 0; i < 100; i += 1) model.observe(4, 8);
  near(model.predictMs(4), 8);
  near(model.predictMs(1), 2);
});

test('one stall moves it little', () => {
  const model = new CostModel(new ManualClock(), { runMsOne: 1, runMsFull: 4, maxRows: 4 });
  model.observe(4, 5_000);
  assert.ok(model.predictMs(4) <= 4 * 1.31, `${model.predictMs(4)}`);
});

test('it is trusted only while batches end', () => {
  const clock = new ManualClock();
  const model = new CostModel(clock, { runMsOne: 1, runMsFull: 4, maxRows: 4 });
  assert.equal(model.trusted, false);
  model.observe(4, 4);
  assert.equal(model.trusted, true);
  clock.advance(1_000);
  assert.equal(model.trusted, false);
});

test('a warm-up without figures, or one that fell, gives a usable line', () => {
  const none = new CostModel(new ManualClock(), { runMsOne: 0, runMsFull: 0, maxRows: 1 });
  assert.ok(none.predictMs(1) > 0);
  const falling = new CostModel(new ManualClock(), { runMsOne: 9, runMsFull: 3, maxRows: 8 });
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
