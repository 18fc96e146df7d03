import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare, type ExpectedCase } from '../../src/demo/expected.ts';
import type { JsonTensor } from '../../src/door.ts';

const expected: ExpectedCase = {
  inputs: {},
  outputs: {
    label: { datatype: 'BYTES', shape: [1, 1], data: ['card_arrival'] },
    scores: { datatype: 'FP32', shape: [1, 2], data: [0.25, 1000] },
  },
};
const answer = (label: string, scores: number[], shape = [1, 2]): JsonTensor[] => [
  { name: 'label', datatype: 'BYTES', shape: [1, 1], data: [label] },
  { name: 'scores', datatype: 'FP32', shape, data: scores },
];

test('values within 1e-5, relative beyond 1, are right, and the largest difference is told', () => {
  const { wrong, largestDifference } = compare(expected, answer('card_arrival', [0.250009, 1000.005]));
  assert.equal(wrong, undefined);
  assert.ok(Math.abs(largestDifference - 9e-6) < 1e-9);
});

test('a value beyond the tolerance, another text, another shape and a missing output are each named', () => {
  assert.match(
    compare(expected, answer('card_arrival', [0.2502, 1000])).wrong ?? '',
    /^scores\[0\]: expected 0\.25, got 0\.2502/,
  );
  assert.match(
    compare(expected, answer('other', [0.25, 1000])).wrong ?? '',
    /^label\[0\]: expected card_arrival, got other/,
  );
  assert.match(
    compare(expected, answer('card_arrival', [0.25, 1000], [2, 1])).wrong ?? '',
    /expected FP32 \[1, 2\], got FP32 \[2, 1\]/,
  );
  assert.match(
    compare(expected, answer('card_arrival', [0.25])).wrong ?? '',
    /scores\[1\]: expected 1000, got undefined/,
  );
  assert.match(compare(expected, []).wrong ?? '', /"label" is missing/);
});

test('no number is right where one was expected', () => {
  for (const value of [Number.NaN, null]) {
    assert.notEqual(compare(expected, answer('card_arrival', [0.25, value as number])).wrong, undefined);
  }
});
