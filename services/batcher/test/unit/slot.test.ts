import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { HopTime } from '../../src/core/hop-time.ts';
import type { Instance } from '../../src/core/instance.ts';
import { Slot } from '../../src/core/slot.ts';
import { served } from './fixtures.ts';

const setUp = (slots = 1) => {
  const clock = new ManualClock();
  const slot = new Slot(clock, 'w', served('m', { slots, maxBatchSize: 32, runMsOne: 1, runMsFull: 32 }));
  const run = (instance: Instance, ms: number, predictedMs = ms) => {
    instance.sent(predictedMs, clock.now());
    clock.advance(ms);
    instance.ended({ predictedMs, runMs: ms, ran: true, nowMs: clock.now() });
  };
  return { clock, slot, instance: slot.instances[0] as Instance, run };
};

test('a second batch of an instance begins when the first is expected to end', () => {
  const { clock, instance } = setUp();
  assert.equal(instance.startInMs(clock.now()), 0);
  instance.sent(40, clock.now());
  assert.equal(instance.startInMs(clock.now()), 40);
  clock.advance(30);
  instance.sent(20, clock.now());
  assert.equal(instance.startInMs(clock.now()), 30);
  clock.advance(30);
  assert.equal(instance.startInMs(clock.now()), 20, 'the first is late, the second still has to run');
  instance.ended({ predictedMs: 40, runMs: 60, ran: true, nowMs: clock.now() });
  clock.advance(5);
  assert.equal(instance.startInMs(clock.now()), 15);
});

test('a new executor begins with a quarter of a batch and doubles with each that is on time', () => {
  const { clock, instance, run } = setUp();
  const rows = () => instance.rowsNow({ operatingRows: 32, slowStartMs: 0, nowMs: clock.now() });
  assert.equal(rows(), 8);
  run(instance, 10);
  assert.equal(rows(), 16);
  run(instance, 20, 10);
  assert.equal(rows(), 16, 'it took twice as long as predicted');
  run(instance, 15, 10);
  assert.equal(rows(), 32);
});

test('a slow start over time begins with a fifth', () => {
  const { clock, instance } = setUp();
  const rows = () => instance.rowsNow({ operatingRows: 30, slowStartMs: 30_000, nowMs: clock.now() });
  assert.equal(rows(), 6);
  clock.advance(15_000);
  assert.equal(rows(), 18);
  clock.advance(20_000);
  assert.equal(rows(), 30);
});

test('the first two batches of an executor teach nothing, and a replaced executor begins anew', () => {
  const { clock, instance, run } = setUp();
  assert.equal(instance.warm, false);
  run(instance, 10);
  run(instance, 10);
  assert.equal(instance.warm, true);
  instance.lose(clock.now());
  assert.deepEqual([instance.warm, instance.suspect, instance.lost], [false, true, true]);
  assert.equal(instance.rowsNow({ operatingRows: 32, slowStartMs: 0, nowMs: clock.now() }), 8);
});

test('a lost executor is back when its worker grants more than the others can hold', () => {
  const { clock, slot } = setUp(2);
  const [a, b] = slot.instances as [Instance, Instance];
  slot.granted(4, 100);
  slot.free -= 2;
  a.sent(10, clock.now());
  b.sent(10, clock.now());
  a.ended({ predictedMs: 10, runMs: 0, ran: false, nowMs: clock.now() });
  a.lose(clock.now());
  slot.free -= 1; // the worker counts what it granted before
  b.sent(10, clock.now());
  b.ended({ predictedMs: 10, runMs: 10, ran: true, nowMs: clock.now() });
  b.ended({ predictedMs: 10, runMs: 10, ran: true, nowMs: clock.now() });
  slot.granted(1, 100);
  assert.equal(a.lost, true, 'two credits are what the other executor may hold');
  slot.granted(2, 100);
  assert.deepEqual([a.lost, a.suspect], [false, false]);
});

test('an instance that ends a batch is suspect no more', () => {
  const { clock, instance } = setUp();
  instance.sent(10, clock.now());
  instance.suspect = true;
  instance.ended({ predictedMs: 10, runMs: 500, ran: true, nowMs: clock.now() });
  assert.equal(instance.suspect, false);
});

test('a lighter variant counts as slow as the full model until it has run, and is learned apart', () => {
  const { slot } = setUp();
  assert.equal(slot.runTime('lite').predictMs(32), slot.runTime('').predictMs(32));
  for (let i = 0; i < 100; i += 1) slot.runTime('lite').observe(32, 4, 32);
  assert.ok(slot.runTime('lite').predictMs(32) < 5);
  assert.equal(slot.runTime('').predictMs(32), 32);
  assert.deepEqual(
    slot.runTimes().map(({ variant }) => variant),
    ['', 'lite'],
  );
});

test('the way to a worker is its mean and two deviations, so that most messages are there by then', () => {
  const hop = new HopTime();
  for (let i = 0; i < 1_000; i += 1) hop.observe(i % 2 === 0 ? 1 : 3);
  assert.ok(hop.ms > 3 && hop.ms < 5, `${hop.ms}`);
  hop.observe(Number.NaN);
  assert.ok(hop.ms > 3);
});

test('a lighter variant begins with its own warm-up times, if its worker named them', () => {
  const variants = [{ variant: 'lite', runMsOne: 1, runMsFull: 4 }];
  const slot = new Slot(
    new ManualClock(),
    'w',
    served('m', { maxBatchSize: 32, runMsOne: 2, runMsFull: 32, variants }),
  );
  assert.ok(Math.abs(slot.runTime('lite').predictMs(32) - 4) < 0.01);
});
