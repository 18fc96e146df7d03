import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Answer } from '../chain/attempt.ts';
import { RetryBudget, tryAgain } from './retry.ts';

const REFUSED: Answer = { outcome: 'refused', reason: 'fair_rate', retryAfterMs: 80, degraded: false };
const half = (): number => 0.5;

test('a naive client tries four times, at once and with a new deadline', () => {
  const again = (attempts: number) =>
    tryAgain('naive', { attempts, endsAtMs: 10 }, REFUSED, new RetryBudget(), 1_000, half);
  assert.deepEqual(
    [again(1), again(3), again(4)],
    [{ inMs: 1, newDeadline: true }, { inMs: 1, newDeadline: true }, undefined],
  );
});

test('who obeys comes again once, when told', () => {
  const again = (attempts: number) => tryAgain('obey', { attempts, endsAtMs: 10 }, REFUSED, new RetryBudget(), 0, half);
  assert.deepEqual([again(1), again(2)], [{ inMs: 80, newDeadline: true }, undefined]);
});

test('the budgeted retry waits as told, stays inside the deadline and ends with the tokens', () => {
  const budget = new RetryBudget();
  const again = (endsAtMs: number) => tryAgain('budget', { attempts: 1, endsAtMs }, REFUSED, budget, 0, half);
  assert.deepEqual(again(200), { inMs: 80, newDeadline: false });
  assert.equal(again(80), undefined);
  for (let n = 0; n < 99; n += 1) again(200);
  assert.equal(again(200), undefined);
  for (let n = 0; n < 11; n += 1) budget.succeeded();
  assert.deepEqual(again(200), { inMs: 80, newDeadline: false });
});
