import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { LookupBatch } from '../../src/core/lookup-batch.ts';

type Q = { id: number };
type A = { id: number; text: string };
const setUp = () => {
  const clock = new ManualClock();
  const batch = new LookupBatch<Q, A>(clock, 8);
  const got: (string | undefined)[] = [];
  const ask = (forMs = 100) =>
    batch.ask(
      (id) => ({ id }),
      clock.now() + forMs,
      (answer) => got.push(answer?.text),
    );
  return { clock, batch, got, ask };
};

test('the questions of a turn leave together, and only the first asks for a flush', () => {
  const { batch, ask } = setUp();
  assert.deepEqual([ask(), ask(), ask()], [true, false, false]);
  assert.equal(batch.take().length, 3);
  assert.equal(ask(), true);
});

test('each question is answered once, by its id', () => {
  const { batch, got, ask } = setUp();
  ask();
  ask();
  const [first, second] = batch.take();
  batch.answer({ id: (second as Q).id, text: 'b' });
  batch.answer({ id: (second as Q).id, text: 'again' });
  batch.answer({ id: (first as Q).id, text: 'a' });
  assert.deepEqual(got, ['b', 'a']);
});

test('what waits too long ends without an answer', () => {
  const { clock, batch, got, ask } = setUp();
  ask(50);
  ask(150);
  clock.advance(100);
  batch.expire();
  assert.deepEqual(got, [undefined]);
  assert.equal(batch.size, 1);
});

test('only what was sent is asked again on another connection', () => {
  const { batch, ask } = setUp();
  ask();
  batch.take();
  ask();
  assert.equal(batch.unanswered().length, 1);
});

test('beyond its bound a question is not asked', () => {
  const { batch, got, ask } = setUp();
  for (let i = 0; i < 9; i += 1) ask();
  assert.deepEqual([batch.take().length, got], [8, [undefined]]);
});
