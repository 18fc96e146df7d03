import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recoveredAfter } from '../../src/windows.ts';

const windows = (served: readonly number[], offered = 100) => ({
  offered: (at: number) => (Number.isNaN(served[at]) ? 0 : offered),
  served: (at: number) => served[at] ?? 0,
});
const rule = { from: 1, share: 0.99, inARow: 3 };

test('recovery is the begin of the first row of good windows', () => {
  const served = [0, 50, 99, 98, 99, 100, 100, 20];
  assert.equal(recoveredAfter(windows(served), { ...rule, to: 8 }), 3);
});

test('a window without requests neither breaks nor makes a row', () => {
  assert.equal(recoveredAfter(windows([0, 100, Number.NaN, 100, 100]), { ...rule, to: 5 }), 0);
});

test('a row that the end cuts counts; a bad end does not', () => {
  assert.equal(recoveredAfter(windows([0, 10, 100, 100]), { ...rule, to: 4 }), 1);
  assert.equal(recoveredAfter(windows([0, 100, 100, 10]), { ...rule, to: 4 }), undefined);
});
