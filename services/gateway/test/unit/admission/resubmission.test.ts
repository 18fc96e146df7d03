import assert from 'node:assert/strict';
import { test } from 'node:test';
import { START_MS, setUp, waiting } from './fixtures.ts';

test('a short deadline is sent again when no answer came in time and one still can; a long one comes back by itself', () => {
  const admission = setUp();
  assert.equal(admission.resubmitAfterMs('m', 0, 200, 25), 50);
  assert.equal(admission.resubmitAfterMs('m', 0, 2_000, 25), Number.POSITIVE_INFINITY);
  assert.equal(admission.resubmitAfterMs('m', 0, 60, 25), Number.POSITIVE_INFINITY, 'too late');
  assert.equal(admission.resubmitAfterMs('m', 2, 200, 25), Number.POSITIVE_INFINITY, 'bulk waits');
  assert.equal(setUp({ batcher: null }).resubmitAfterMs('m', 0, 200, 25), Number.POSITIVE_INFINITY);
});

test('resubmissions are paid by answers, one for a hundred, and only while they fit', () => {
  const admission = setUp();
  for (let n = 0; n < 100; n += 1) assert.equal(admission.mayResubmit('m', 0, 100, START_MS), true);
  assert.equal(admission.mayResubmit('m', 0, 100, START_MS), false);
  for (let n = 0; n < 101; n += 1) admission.answered('m');
  assert.equal(admission.mayResubmit('m', 0, 100, START_MS), true);
  const full = setUp({ batcher: { backlog: waiting(500) } });
  assert.equal(full.mayResubmit('m', 0, 100, START_MS), false);
});
