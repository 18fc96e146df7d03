import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { RunningJobs } from '../../src/core/running-jobs.ts';

const runningJobs = () => {
  const clock = new ManualClock();
  return { clock, running: new RunningJobs(clock) };
};

test('a job runs while some batcher says so', () => {
  const { running } = runningJobs();
  running.hear('a', [1, 2]);
  running.hear('b', [3]);
  assert.deepEqual(
    [1, 2, 3, 4].map((seq) => running.has(seq)),
    [true, true, true, false],
  );
  running.hear('a', [2]);
  assert.deepEqual(
    [1, 2, 3].map((seq) => running.has(seq)),
    [false, true, true],
  );
});

test('what a batcher said counts no longer than half a second', () => {
  const { clock, running } = runningJobs();
  running.hear('a', [1]);
  clock.advance(400);
  running.hear('b', [2]);
  clock.advance(200);
  assert.deepEqual([running.has(1), running.has(2)], [false, true]);
});

test('who watches a job hears of its changes only, and of nothing once it has stopped', () => {
  const { running } = runningJobs();
  let changes = 0;
  const stop = running.watch(1, () => {
    changes += 1;
  });
  running.hear('a', [1]);
  running.hear('a', [1]);
  running.hear('a', [1, 2]);
  assert.equal(changes, 1);
  running.hear('a', []);
  assert.equal(changes, 2);
  stop();
  running.hear('a', [1]);
  assert.equal(changes, 2);
});
