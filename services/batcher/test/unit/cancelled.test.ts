import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { Cancelled } from '../../src/core/cancelled.ts';

test('a request that was cancelled before its frame came is known', () => {
  const clock = new ManualClock();
  const cancelled = new Cancelled(clock);
  cancelled.add('g', [7]);
  const test = cancelled.of('g', clock.now() - 5);
  assert.deepEqual([test?.(7), test?.(8)], [true, false]);
  assert.equal(cancelled.of('other', clock.now() - 5), undefined);
});

test('a frame that was sent after the cancel is another request with the same number', () => {
  const clock = new ManualClock();
  const cancelled = new Cancelled(clock);
  cancelled.add('g', [7]);
  clock.advance(3);
  assert.equal(cancelled.of('g', clock.now())?.(7), false);
});

test('cancels are forgotten after a while', () => {
  const clock = new ManualClock();
  const cancelled = new Cancelled(clock);
  cancelled.add('g', [7]);
  clock.advance(10_000);
  assert.equal(cancelled.of('g', 0)?.(7), true);
  clock.advance(10_000);
  assert.equal(cancelled.of('g', 0), undefined);
});

test('many cancels do not grow without end', () => {
  const cancelled = new Cancelled(new ManualClock());
  for (let seq = 0; seq < 100_000; seq += 1) cancelled.add('g', [seq]);
  const test = cancelled.of('g', 0);
  let known = 0;
  for (let seq = 0; seq < 100_000; seq += 1) if (test?.(seq)) known += 1;
  assert.ok(known <= 2 * 16_384, `${known}`);
  assert.equal(test?.(99_999), true);
});
