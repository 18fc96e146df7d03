import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inOrder } from '../../src/in-order.ts';

test('outcomes come in the order of the items, whichever is first', async () => {
  const gates = [0, 1, 2].map(() => Promise.withResolvers<string>());
  const got: string[] = [];
  const all = (async () => {
    for await (const out of inOrder([0, 1, 2], 3, (n) => gates[n]!.promise)) got.push(out);
  })();
  gates[2]!.resolve('c');
  gates[0]!.resolve('a');
  gates[1]!.resolve('b');
  await all;
  assert.deepEqual(got, ['a', 'b', 'c']);
});

test('no more than the limit are under way', async () => {
  let running = 0;
  let most = 0;
  const start = async (n: number) => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
    return n;
  };
  const got = await Array.fromAsync(inOrder(Array(20).keys(), 3, start));
  assert.deepEqual(got, [...Array(20).keys()]);
  assert.equal(most, 3);
});

test('an answer does not wait for a source that pauses', async () => {
  const more = Promise.withResolvers<void>();
  async function* source() {
    yield 1;
    await more.promise;
    yield 2;
  }
  const outcomes = inOrder(source(), 4, async (n) => n);
  assert.equal((await outcomes.next()).value, 1);
  more.resolve();
  assert.equal((await outcomes.next()).value, 2);
  assert.equal((await outcomes.next()).done, true);
});

test('who leaves ends the source; a source that fails fails the loop', async () => {
  let ended = false;
  async function* source() {
    try {
      for (;;) yield 1;
    } finally {
      ended = true;
    }
  }
  for await (const _ of inOrder(source(), 2, async (n) => n)) break;
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(ended, true);
  async function* failing() {
    yield 1;
    throw new Error('the file ended badly');
  }
  await assert.rejects(Array.fromAsync(inOrder(failing(), 1, async (n) => n)), /ended badly/);
});
