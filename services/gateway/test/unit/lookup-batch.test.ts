import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LookupBatch } from '../../src/core/lookup-batch.ts';

type Q = { id: number };
type A = { id: number; text: string };
const setUp = () => {
  const batch = new LookupBatch<Q, A>();
  const got: (string | undefined)[] = [];
  const ask = (untilMs = 100) =>
    batch.ask(
      (id) => ({ id }),
      untilMs,
      (answer) => got.push(answer?.text),
    );
  return { batch, got, ask };
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
  const { batch, got, ask } = setUp();
  ask(50);
  ask(150);
  batch.expire(100);
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
