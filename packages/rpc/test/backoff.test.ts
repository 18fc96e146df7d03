import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff } from '../src/backoff.ts';

const take = (backoff: Backoff, n: number) => Array.from({ length: n }, () => backoff.next());

test('waits double up to the longest, and begin again after a reset', () => {
  const backoff = new Backoff({ initialMs: 50, maxMs: 1_000, random: () => 1 });
  assert.deepEqual(take(backoff, 7), [50, 100, 200, 400, 800, 1_000, 1_000]);
  backoff.reset();
  assert.deepEqual(take(backoff, 2), [50, 100]);
});

test('each wait is drawn from the upper half of its step', () => {
  const backoff = new Backoff({ initialMs: 50, maxMs: 1_000, random: () => 0 });
  assert.deepEqual(take(backoff, 3), [25, 50, 100]);
});
