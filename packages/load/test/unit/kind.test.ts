import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choose, weightedPicker } from '../../src/kind.ts';
import { randomStream } from '../../src/random.ts';
import { kindPicker } from '../../src/schedule.ts';
import { kind } from './fixtures.ts';

const DRAWS = 100_000;

/** Counts within five standard deviations of a binomial. */
function assertShares(counts: readonly number[], weights: readonly number[]): void {
  const sum = weights.reduce((a, b) => a + b, 0);
  weights.forEach((weight, index) => {
    const share = weight / sum;
    const off = Math.abs((counts[index] ?? 0) - DRAWS * share);
    assert.ok(off <= 5 * Math.sqrt(DRAWS * share * (1 - share)), `${index}: ${counts[index]} for ${DRAWS * share}`);
  });
}

for (const weights of [[10, 60, 30], [1], [0, 5], [1, 1, 1, 1, 1, 1, 1], [1e-3, 1e3, 7]]) {
  test(`kinds are picked by their weights ${weights}`, () => {
    const pick = weightedPicker(weights, randomStream(3, 'kinds'));
    const counts = weights.map(() => 0);
    for (let n = 0; n < DRAWS; n += 1) counts[pick()]! += 1;
    assertShares(counts, weights);
  });
}

test('weights of nothing are refused', () => {
  assert.throws(() => weightedPicker([0, 0], Math.random), /expected at least one above 0, got 0, 0/);
});

test('a choice draws its values by weight, and one value is always that', () => {
  const random = randomStream(4, 'choice');
  const counts = [0, 0];
  const choice = [
    { value: 0, weight: 1 },
    { value: 1, weight: 3 },
  ];
  for (let n = 0; n < DRAWS; n += 1) counts[choose(choice, random)]! += 1;
  assertShares(counts, [1, 3]);
  assert.equal(choose([{ value: 80, weight: 0 }], random), 80);
});

test('a kind may have another weight in one phase', () => {
  const phases = [
    { label: 'calm', fromMs: 0, toMs: 100 },
    { label: 'flood', fromMs: 100, toMs: 200 },
    { label: 'after', fromMs: 200, toMs: 300 },
  ];
  const kinds = [kind({ weight: 1 }), kind({ name: 'noisy', weight: 0, phaseWeights: { flood: 1e9 } })];
  const pick = kindPicker(kinds, phases, 1);
  assert.deepEqual([10, 99, 100, 150, 200, 299].map(pick), [0, 0, 1, 1, 0, 0]);
});
