import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RestartDelay } from '../../src/core/restart-delay.ts';

test('an executor that dies again and again soon after its start waits longer each time, up to 5 s', () => {
  const delay = new RestartDelay<object>();
  const executor = {};
  const delays = Array.from({ length: 8 }, () => delay.afterLoss(executor, 10, false));
  assert.deepEqual(delays, [0, 100, 200, 400, 800, 1_600, 3_200, 5_000]);
  assert.equal(delay.afterLoss({}, 10, false), 0, 'each has its own count');
});

test('one that lived for a while, or was killed for a run over its limit, is started at once', () => {
  const delay = new RestartDelay<object>();
  const executor = {};
  for (let i = 0; i < 5; i += 1) delay.afterLoss(executor, 10, false);
  assert.equal(delay.afterLoss(executor, 5_000, false), 0);
  assert.equal(delay.afterLoss(executor, 10, true), 0);
});
