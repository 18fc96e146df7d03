import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackOff, HEALTHY_MS } from '../../src/back-off.ts';

const times = <T>(n: number, make: () => T): T[] => Array.from({ length: n }, make);

test('crash after crash is waited for from 100 ms, doubling up to 5 s', () => {
  const backOff = new BackOff();
  assert.deepEqual(
    times(8, () => backOff.afterCrash(0)),
    [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000],
  );
});

test('a child that was ready for 10 s starts from 100 ms again, one that was ready for less does not', () => {
  const backOff = new BackOff();
  times(3, () => backOff.afterCrash(0));
  assert.equal(backOff.afterCrash(HEALTHY_MS - 1), 800);
  assert.equal(backOff.afterCrash(HEALTHY_MS), 100);
  assert.equal(backOff.afterCrash(0), 200);
});
