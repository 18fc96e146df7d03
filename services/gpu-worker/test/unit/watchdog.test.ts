import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { Watchdog } from '../../src/core/watchdog.ts';

test('a run is overdue at its limit, and is named once', () => {
  const clock = new ManualClock();
  const watchdog = new Watchdog<string>(clock);
  watchdog.started('a', 100);
  clock.advance(99);
  assert.deepEqual(watchdog.takeOverdue(), []);
  clock.advance(1);
  assert.deepEqual(watchdog.takeOverdue(), [{ executor: 'a', ranMs: 100, limitMs: 100 }]);
  assert.deepEqual(watchdog.takeOverdue(), []);
});

test('the next run of an executor has its whole time, whenever the last one began', () => {
  const clock = new ManualClock();
  const watchdog = new Watchdog<string>(clock);
  watchdog.started('a', 100);
  clock.advance(90);
  watchdog.started('a', 100);
  clock.advance(90);
  assert.deepEqual(watchdog.takeOverdue(), []);
  assert.equal(watchdog.dueInMs(), 10);
});

test('a finished run is never overdue, and nothing is due when nothing runs', () => {
  const clock = new ManualClock();
  const watchdog = new Watchdog<string>(clock);
  watchdog.started('a', 100);
  watchdog.finished('a');
  clock.advance(1_000);
  assert.deepEqual(watchdog.takeOverdue(), []);
  assert.equal(watchdog.dueInMs(), Number.POSITIVE_INFINITY);
});

test('executors are judged apart, each by the limit of its own run', () => {
  const clock = new ManualClock();
  const watchdog = new Watchdog<string>(clock);
  watchdog.started('slow', 500);
  watchdog.started('quick', 50);
  assert.equal(watchdog.dueInMs(), 50);
  clock.advance(60);
  assert.deepEqual(
    watchdog.takeOverdue().map(({ executor }) => executor),
    ['quick'],
  );
  assert.equal(watchdog.dueInMs(), 440);
});
