import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextTryInMs, RetryBudget } from '../../src/retry.ts';

const half = (): number => 0.5;
const end = { tries: 1, refused: true, retryAfterMs: Number.NaN, leftMs: 10_000 };

test('the back-off of a budgeted client doubles up to a second, and a hint that is longer wins', () => {
  const next = (tries: number, retryAfterMs = Number.NaN) =>
    nextTryInMs({ kind: 'budget', tries: 99 }, { ...end, tries, retryAfterMs }, new RetryBudget(), half);
  assert.deepEqual(
    [1, 2, 3, 6, 20].map((tries) => next(tries)),
    [25, 50, 100, 500, 500],
  );
  assert.equal(next(1, 700), 700);
});

test('a retry takes a token, ten successes give one, and without tokens there is none', () => {
  const budget = new RetryBudget(2);
  const next = () => nextTryInMs({ kind: 'budget', tries: 9 }, end, budget, half);
  assert.deepEqual([next(), next(), next()], [25, 25, undefined]);
  for (let n = 0; n < 10; n += 1) budget.succeeded();
  assert.deepEqual([next(), next()], [25, undefined]);
});

test('tries end', () => {
  const of = (kind: 'naive' | 'obey' | 'budget') =>
    nextTryInMs({ kind, tries: 4 }, { ...end, tries: 4, retryAfterMs: 5 }, new RetryBudget(), half);
  assert.deepEqual([of('naive'), of('obey'), of('budget')], [undefined, undefined, undefined]);
  assert.equal(nextTryInMs({ kind: 'none' }, end, new RetryBudget(), half), undefined);
});
