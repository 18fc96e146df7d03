import assert from 'node:assert/strict';
import { test } from 'node:test';
import { INTERNAL_MESSAGE, SpillwayError } from '../src/spillway-error.ts';

test('a typed error passes the funnel as it is', () => {
  const error = new SpillwayError('OVERLOADED', 'the queue is full', { reason: 'stream_bytes', retryAfterMs: 250 });
  assert.equal(SpillwayError.from(error), error);
});

test('a typed error of another copy of the package passes too', () => {
  const foreign = Object.assign(new Error('full'), { name: 'SpillwayError', code: 'OVERLOADED' });
  assert.equal(SpillwayError.from(foreign).code, 'OVERLOADED');
});

test('an abort becomes CANCELLED', () => {
  const reason: unknown = AbortSignal.abort().reason;
  const error = SpillwayError.from(reason);
  assert.equal(error.code, 'CANCELLED');
  assert.equal(error.cause, reason);
});

test('anything else becomes INTERNAL, says nothing of the inside and keeps its cause', () => {
  const inside = [new Error('password=hunter2'), 'text', undefined, null, 7, { code: 'OVERLOADED' }];
  for (const thrown of inside) {
    const error = SpillwayError.from(thrown);
    assert.equal(error.code, 'INTERNAL');
    assert.equal(error.message, INTERNAL_MESSAGE);
    assert.equal(error.cause, thrown);
  }
});

test('an error with a name of its own and an unknown code is not taken for typed', () => {
  const foreign = Object.assign(new Error('?'), { name: 'SpillwayError', code: 'NOPE' });
  assert.equal(SpillwayError.from(foreign).code, 'INTERNAL');
});

test('without a cause there is no member cause', () => {
  assert.equal('cause' in new SpillwayError('INTERNAL', 'x', { reason: 'y' }), false);
});

test('a refusal has no stack to collect, and the next error has one again', () => {
  const refusal = SpillwayError.refusal('OVERLOADED', 'too much', { reason: 'fair_rate', retryAfterMs: 250 });
  assert.deepEqual([refusal.code, refusal.reason, refusal.retryAfterMs], ['OVERLOADED', 'fair_rate', 250]);
  assert.ok(!refusal.stack?.includes('\n    at '));
  assert.match(new SpillwayError('INTERNAL', 'bug').stack ?? '', /\n {4}at /);
});
