import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withRetries } from '../../src/attempts.ts';
import { CallScope, type Clock } from '../../src/call-scope.ts';
import { SpillwayClientError } from '../../src/errors.ts';
import { nextTryInMs, RetryBudget } from '../../src/retry.ts';

/** Time that passes when somebody waits for it. */
function clockOfWaits(): Clock & { waits: number[]; nowMs: number } {
  const clock = {
    nowMs: 0,
    waits: [] as number[],
    now: () => clock.nowMs,
    after: (ms: number, callback: () => void) => {
      if (ms >= 60_000) return () => undefined; // a deadline that is not reached
      clock.waits.push(ms);
      clock.nowMs += ms;
      queueMicrotask(callback);
      return () => undefined;
    },
  };
  return clock;
}

const overloaded = (retryAfterMs?: number) => new SpillwayClientError('OVERLOADED', 'shed', { retryAfterMs });
const rules = (tokens = 100, random = () => 0.5) => ({ maxAttempts: 4, budget: new RetryBudget(tokens), random });

test('a retry takes a token and a success gives a tenth, up to what there was', () => {
  const budget = new RetryBudget(2);
  assert.deepEqual([budget.take(), budget.take(), budget.take()], [true, true, false]);
  for (let n = 0; n < 9; n += 1) budget.succeeded();
  assert.equal(budget.take(), false);
  budget.succeeded();
  assert.equal(budget.take(), true);
  for (let n = 0; n < 1_000; n += 1) budget.succeeded();
  assert.equal(budget.tokens, 2);
});

test('back-off is drawn from 0 to 50 ms, doubled with each try, at most a second', () => {
  const waits = [1, 2, 3, 10].map((tries) =>
    nextTryInMs(overloaded(), tries, 60_000, { ...rules(100, () => 1), maxAttempts: 99 }),
  );
  assert.deepEqual(waits, [50, 100, 200, 1_000]);
});

test('nothing is repeated before the time that the mesh gave', () => {
  assert.equal(nextTryInMs(overloaded(700), 1, 60_000, rules()), 700);
});

test('nothing is repeated beyond the deadline, and that costs no token', () => {
  const own = rules(1);
  assert.equal(nextTryInMs(overloaded(700), 1, 700, own), undefined);
  assert.equal(own.budget.tokens, 1);
});

test('only what the mesh refused without starting it is repeated', () => {
  for (const code of ['INVALID_REQUEST', 'DEADLINE_EXCEEDED', 'BACKEND_FAILED', 'INTERNAL', 'CANCELLED'] as const) {
    assert.equal(nextTryInMs(new SpillwayClientError(code, ''), 1, 60_000, rules()), undefined, code);
  }
  for (const code of ['OVERLOADED', 'QUOTA_EXCEEDED', 'UNAVAILABLE'] as const) {
    assert.notEqual(nextTryInMs(new SpillwayClientError(code, ''), 1, 60_000, rules()), undefined, code);
  }
});

test('a call is tried until it is answered, with the waits between', async () => {
  const clock = clockOfWaits();
  using scope = new CallScope(clock, 60_000, undefined);
  const ends = [overloaded(300), overloaded(10), 'answer'];
  const answer = await withRetries(scope, rules(), async () => {
    const end = ends.shift();
    if (typeof end === 'string') return end;
    throw end;
  });
  assert.equal(answer, 'answer');
  assert.deepEqual(clock.waits, [300, 50]);
});

test('a call fails with its last failure when its tries, or the tokens of the client, are used up', async () => {
  const clock = clockOfWaits();
  for (const [own, tries] of [
    [rules(), 4],
    [rules(1), 2],
    [{ ...rules(), maxAttempts: 1 }, 1],
  ] as const) {
    using scope = new CallScope(clock, 60_000, undefined);
    let tried = 0;
    const call = withRetries(scope, own, async () => {
      tried += 1;
      throw overloaded();
    });
    await assert.rejects(call, { code: 'OVERLOADED' });
    assert.equal(tried, tries);
  }
});

test('a signal ends the wait for the next try', async () => {
  const leaving = new AbortController();
  const never: Clock = { now: () => 0, after: () => () => undefined };
  using scope = new CallScope(never, 60_000, leaving.signal);
  const call = withRetries(scope, rules(), async () => {
    queueMicrotask(() => leaving.abort(new Error('enough')));
    throw overloaded(100);
  });
  await assert.rejects(call, (error: SpillwayClientError) => {
    assert.equal(error.code, 'CANCELLED');
    assert.equal((error.cause as Error).message, 'enough');
    return true;
  });
});

test('the deadline of a call ends it with a reason of its own', async () => {
  let fire = () => {};
  const clock: Clock = {
    now: () => 0,
    after: (ms, callback) => {
      assert.equal(ms, 300); // the mesh's own answer has a little time to arrive
      fire = callback;
      return () => undefined;
    },
  };
  using scope = new CallScope(clock, 200, undefined);
  const call = scope.race(new Promise(() => {}));
  fire();
  await assert.rejects(call, { code: 'DEADLINE_EXCEEDED', reason: 'client_deadline' });
});
