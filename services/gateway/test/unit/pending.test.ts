import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { Pending } from '../../src/core/pending.ts';

const setUp = () => {
  const clock = new ManualClock();
  return { clock, pending: new Pending<{ seq: number; deadlineMs: number }>(clock, 4) };
};

test('a request is taken once: a second answer finds nothing', () => {
  const { pending } = setUp();
  pending.add({ seq: 7, deadlineMs: 2_000 });
  assert.equal(pending.take(7)?.seq, 7);
  assert.equal(pending.take(7), undefined);
});

test('only what has passed its deadline expires, and the next look is due at the next deadline', () => {
  const { clock, pending } = setUp();
  pending.add({ seq: 1, deadlineMs: clock.now() + 100 });
  pending.add({ seq: 2, deadlineMs: clock.now() + 30 });
  assert.equal(pending.dueInMs(), 30);
  clock.advance(30);
  assert.deepEqual(
    pending.expired().map(({ seq }) => seq),
    [2],
  );
  assert.equal(pending.dueInMs(), 70);
  clock.advance(69);
  assert.deepEqual(pending.expired(), []);
});

test('nothing is due while nothing waits', () => {
  const { pending } = setUp();
  assert.equal(pending.dueInMs(), Number.POSITIVE_INFINITY);
});

test('sequence numbers wrap at 2^32 and stay unsigned', () => {
  const { pending } = setUp();
  assert.equal(pending.nextSeq(), 1);
  assert.equal(pending.nextSeq(), 2);
});

test('a number whose slot is still taken is passed over, so that nobody gets the answer of another', () => {
  const { pending } = setUp();
  const first = pending.nextSeq();
  pending.add({ seq: first, deadlineMs: 2_000 });
  const later: number[] = [];
  for (let i = 0; i < 20; i += 1) {
    const seq = pending.nextSeq();
    pending.add({ seq, deadlineMs: 2_000 });
    pending.take(seq);
    later.push(seq);
  }
  assert.equal(new Set([first, ...later]).size, 21);
  assert.equal(pending.take(first + 8), undefined, 'another number of the same slot');
  assert.equal(pending.take(first)?.seq, first);
  assert.equal(pending.size, 0);
});
