import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClassQueue } from '../../../src/core/admission/class-queue.ts';
import { PublishedWork } from '../../../src/core/admission/published-work.ts';

const near = (got: number, wanted: number, by = 0.5) =>
  assert.ok(Math.abs(got - wanted) <= by, `${got}, expected ${wanted}`);

test('what was sent since a time is known for the last seconds', () => {
  const work = new PublishedWork();
  for (let ms = 0; ms < 1_000; ms += 1) work.add(1, ms);
  near(work.since(0), 1_000);
  near(work.since(400), 600, 5);
  near(work.since(999), 1, 5);
  assert.equal(work.since(2_000), 0);
  work.add(10, 5_000);
  assert.equal(work.since(3_000), 10);
});

test('own work waits from the moment it is admitted, once', () => {
  const queue = new ClassQueue(0, true);
  queue.admitted(10);
  assert.equal(queue.aheadIms(0), 10);
  queue.published(10, 0);
  assert.equal(queue.aheadIms(0), 10);
});

test('a report is carried on: own work since, the others by share, less what has left', () => {
  const queue = new ClassQueue(0, true);
  queue.share = 0.5;
  queue.drain = 2;
  queue.published(30, 40);
  queue.observe({ pendingIms: 100, sampledAtMs: 20, heldIms: 20, atMs: 30 }, 50);
  near(queue.aheadIms(50), 100 + 20 + 30 / 0.5 - 2 * 20);
  near(queue.aheadIms(60), 120 + 60 - 2 * 30);
});

test('an idle second before a burst is no credit for it', () => {
  const queue = new ClassQueue(0, true);
  queue.drain = 4;
  queue.published(400, 990);
  queue.observe({ pendingIms: 0, sampledAtMs: 0, heldIms: 0, atMs: 0 }, 1_000);
  near(queue.aheadIms(1_000), 400 - 4 * 10);
});

test('an older sample of the stream changes nothing, and a report without one keeps the last', () => {
  const queue = new ClassQueue(0, true);
  queue.observe({ pendingIms: 50, sampledAtMs: 100, heldIms: 0, atMs: 100 }, 100);
  queue.observe({ pendingIms: 900, sampledAtMs: 90, heldIms: 0, atMs: 101 }, 101);
  near(queue.aheadIms(101), 50);
  queue.observe({ pendingIms: 0, sampledAtMs: Number.NaN, heldIms: 5, atMs: 102 }, 102);
  near(queue.aheadIms(102), 55);
});

test('work that was admitted and never published fades away', () => {
  const queue = new ClassQueue(0, true);
  queue.admitted(100);
  for (let tick = 0; tick < 200; tick += 1) queue.tick();
  assert.equal(queue.aheadIms(0), 0);
});

test('without correction a report is believed until the next one', () => {
  const queue = new ClassQueue(0, false);
  queue.drain = 4;
  queue.observe({ pendingIms: 50, sampledAtMs: 0, heldIms: 10, atMs: 0 }, 0);
  queue.published(500, 10);
  assert.equal(queue.aheadIms(1_000), 60);
});
