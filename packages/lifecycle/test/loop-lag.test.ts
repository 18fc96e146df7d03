import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { watchLoopLag } from '../src/loop-lag.ts';

test('a blocked loop shows as lag of about the time it was blocked', async () => {
  using lag = watchLoopLag();
  await sleep(50);
  const until = performance.now() + 150;
  while (performance.now() < until);
  await sleep(50);
  assert.ok(lag.maxMs() >= 100, `${lag.maxMs()} ms`);
  assert.ok(lag.meanMs() <= lag.maxMs());
  lag.reset();
  assert.equal(lag.maxMs(), 0);
});

test('before its first sample there is no lag', () => {
  using lag = watchLoopLag();
  assert.equal(lag.meanMs(), 0);
  assert.equal(lag.maxMs(), 0);
});
