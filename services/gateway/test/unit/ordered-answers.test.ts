import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@spillway/testing/seeded-random';
import { OrderedAnswers } from '../../src/core/ordered-answers.ts';

type Request = { n: number; settled: boolean };
const request = (n: number): Request => ({ n, settled: false });

function leaving(answers: OrderedAnswers<Request>): number[] {
  const left: number[] = [];
  for (let first = answers.ready(); first !== undefined; first = answers.ready()) {
    left.push(first.n);
    answers.shift();
  }
  return left;
}

test('answers leave in the order of their requests', () => {
  const answers = new OrderedAnswers<Request>();
  const requests = [0, 1, 2].map(request);
  for (const one of requests) answers.push(one);
  assert.equal(answers.ready(), undefined);
  (requests[1] as Request).settled = true;
  assert.deepEqual(leaving(answers), [], 'the first is not known yet');
  (requests[0] as Request).settled = true;
  assert.deepEqual(leaving(answers), [0, 1]);
  assert.equal(answers.size, 1);
});

test('what is taken out together comes in order and leaves nothing', () => {
  const answers = new OrderedAnswers<Request>();
  for (let n = 0; n < 5; n += 1) answers.push({ n, settled: n < 2 });
  assert.deepEqual(leaving(answers), [0, 1]);
  assert.deepEqual(
    answers.takeAll().map(({ n }) => n),
    [2, 3, 4],
  );
  assert.equal(answers.size, 0);
  assert.throws(() => answers.shift(), /bug/);
});

test('order and size hold over many thousand requests that settle at random', () => {
  const random = seededRandom(3);
  const answers = new OrderedAnswers<Request>();
  const open: Request[] = [];
  const left: number[] = [];
  for (let n = 0; n < 20_000; n += 1) {
    const one = request(n);
    answers.push(one);
    open.push(one);
    if (random() < 0.5 || open.length > 3_000) {
      const at = open.length > 3_000 ? 0 : Math.floor(random() * open.length);
      (open.splice(at, 1)[0] as Request).settled = true;
    }
    left.push(...leaving(answers));
    assert.equal(answers.size, n + 1 - left.length);
  }
  assert.ok(left.length > 5_000, `${left.length}`);
  assert.deepEqual(
    left,
    left.map((_, i) => i),
  );
});
