import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runIsolating } from '../../src/core/isolate.ts';

/** Fails when the group holds a bad item, or more than `capacity` items. */
function backend(bad: readonly number[], capacity = Number.POSITIVE_INFINITY) {
  const runs: number[] = [];
  const run = async (items: readonly number[]): Promise<string[]> => {
    runs.push(items.length);
    if (items.length > capacity) throw new Error('out of memory');
    if (items.some((item) => bad.includes(item))) throw new Error('bad index');
    return items.map((item) => `answer ${item}`);
  };
  return { run, runs };
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

test('a run without a failure is one run', async () => {
  const { run, runs } = backend([]);
  const outcomes = await runIsolating(range(5), run);
  assert.deepEqual(runs, [5]);
  assert.deepEqual(
    outcomes,
    range(5).map((item) => ({ item, answer: `answer ${item}` })),
  );
});

test('one bad request among n fails alone, at the price of at most ⌈log₂ n⌉ + 1 further runs', async () => {
  for (const count of [1, 2, 3, 5, 8, 31, 32, 64]) {
    for (const bad of range(count)) {
      const { run, runs } = backend([bad]);
      const outcomes = await runIsolating(range(count), run);
      for (const [index, outcome] of outcomes.entries()) {
        assert.equal(outcome.item, index);
        assert.equal('fault' in outcome, index === bad, `${bad} of ${count}`);
      }
      assert.ok(runs.length - 1 <= Math.ceil(Math.log2(count)) + 1, `${runs.length - 1} further runs for ${count}`);
    }
  }
});

test('several bad requests fail and all others are answered', async () => {
  const bad = [0, 7, 8, 31];
  const outcomes = await runIsolating(range(32), backend(bad).run);
  assert.deepEqual(
    outcomes.filter((outcome) => 'fault' in outcome).map((outcome) => outcome.item),
    bad,
  );
});

test('all bad: each fails, and the search ends', async () => {
  const outcomes = await runIsolating(range(7), backend(range(7)).run);
  assert.ok(outcomes.every((outcome) => 'fault' in outcome));
});

test('when only the size was too much, nobody fails', async () => {
  const { run } = backend([], 31);
  const outcomes = await runIsolating(range(32), run);
  assert.ok(outcomes.every((outcome) => 'answer' in outcome));
});
