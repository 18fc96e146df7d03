import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HedgeBudget, RetryBudget, retryInMs } from '../src/retry-budget.ts';

test('while nothing succeeds a client repeats as often as its bucket is full, and no more', () => {
  const budget = new RetryBudget();
  let repeated = 0;
  for (let n = 0; n < 1_000; n += 1) if (budget.spend()) repeated += 1;
  assert.equal(repeated, 100);
});

test('ten successes pay for one repetition', () => {
  const budget = new RetryBudget({ tokens: 1 });
  budget.spend();
  for (let n = 0; n < 9; n += 1) budget.succeeded();
  assert.equal(budget.spend(), false);
  budget.succeeded();
  assert.equal(budget.spend(), true);
});

test('a bucket whose bound shrinks loses what is above it', () => {
  const budget = new RetryBudget();
  budget.limit(3);
  assert.equal(budget.tokens, 3);
});

test('at most one call in fifty is hedged, and hedges draw on the bucket of all repetitions', () => {
  const all = new RetryBudget();
  const hedges = new HedgeBudget(all);
  let hedged = 0;
  for (let n = 0; n < 1_000; n += 1) {
    hedges.called();
    if (hedges.spend()) hedged += 1;
  }
  assert.ok(hedged >= 20 && hedged <= 21, `${hedged}`);
  assert.equal(all.tokens, 100 - hedged);
  const empty = new RetryBudget({ tokens: 0 });
  assert.equal(new HedgeBudget(empty).spend(), false);
});

test('a call is repeated after its hint, within its deadline, and only if that may help', () => {
  const failed = { code: 'OVERLOADED', attempt: 0, hintMs: 300, budgetLeftMs: 1_000 } as const;
  assert.equal(
    retryInMs(failed, () => 0.5),
    300,
  );
  assert.equal(
    retryInMs({ ...failed, budgetLeftMs: 200 }, () => 0.5),
    undefined,
  );
  assert.equal(
    retryInMs({ ...failed, code: 'INVALID_REQUEST' }, () => 0.5),
    undefined,
  );
});

test('without a hint the back-off doubles up to a second', () => {
  const waits = [0, 1, 2, 9].map((attempt) =>
    retryInMs({ code: 'UNAVAILABLE', attempt, hintMs: undefined, budgetLeftMs: 5_000 }, () => 1),
  );
  assert.deepEqual(waits, [50, 100, 200, 1_000]);
});
