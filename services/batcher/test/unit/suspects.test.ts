import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TICK_MS } from '../../src/core/dispatcher.ts';
import { Bench, doneOf, hello, item, served } from './fixtures.ts';

/** Lets time pass as the shell does: with a tick every 10 ms. */
const pass = (bench: Bench, ms: number) => {
  const ticks = [];
  for (let left = ms; left > 0; left -= TICK_MS) {
    bench.clock.advance(TICK_MS);
    ticks.push(bench.dispatcher.tick(bench.clock.now()));
  }
  return ticks;
};

const setUp = (runMs = 10) => {
  const bench = new Bench();
  bench.worker('a', 2, { runMsOne: runMs, runMsFull: runMs });
  bench.dispatcher.tick(bench.clock.now());
  return bench;
};

test('an instance that ends nothing for 80 ms is suspect, and its requests go elsewhere, first of their class', () => {
  const bench = setUp();
  bench.frame([item(1), item(2)]);
  const batch = bench.next();
  pass(bench, 70);
  assert.deepEqual(bench.dispatcher.suspects('m'), []);
  bench.worker('b', 1);
  bench.frame([item(3, { budgetMs: 100 })]);
  bench.dispatcher.credits.stop('b');
  const found = pass(bench, 10).flatMap(({ suspects, withdrawn }) => [suspects.length, withdrawn.requeued.length]);
  assert.deepEqual(found, [1, 2]);
  assert.deepEqual(bench.dispatcher.suspects('m'), ['a']);
  bench.worker('c', 1);
  assert.deepEqual(bench.next()?.seqs, [1, 2, 3]);
  assert.equal(batch?.worker, 'a');
});

test('a slow model has four times its own run to speak', () => {
  const bench = setUp(100);
  bench.frame([item(1, { budgetMs: 5_000 })]);
  bench.next();
  pass(bench, 390);
  assert.deepEqual(bench.dispatcher.suspects('m'), []);
  pass(bench, 20);
  assert.deepEqual(bench.dispatcher.suspects('m'), ['a']);
});

test('what another model has at the same worker is waited for', () => {
  const bench = setUp();
  bench.dispatcher.setModel('n', bench.dispatcher.queues('m')?.rules as never);
  bench.dispatcher.join('a', hello('a', served('n', { runMsOne: 300, runMsFull: 300 })));
  const [other] = bench.dispatcher.credits.slotsOf('n');
  assert.ok(other);
  other.instances[0]?.sent(300, bench.clock.now());
  bench.frame([item(1)]);
  bench.next();
  pass(bench, 150);
  assert.deepEqual(bench.dispatcher.suspects('m'), []);
});

test('nothing goes to a suspect until it ends a batch, whatever it has granted', () => {
  const bench = setUp();
  bench.frame([item(1)]);
  const first = bench.next();
  pass(bench, 80);
  bench.frame([item(2)]);
  assert.equal(bench.next(), undefined);
  assert.equal(bench.dispatcher.queues('m')?.capacity.raw, 0);
  bench.dispatcher.done('a', doneOf(first?.batchId ?? '', { runMs: 80 }));
  assert.deepEqual(bench.dispatcher.suspects('m'), []);
  assert.deepEqual(bench.next()?.seqs, [2], 'request 1 was answered after all and does not run twice');
});

test('rows without enough time for a second run stay where they are, and jobs too', () => {
  const bench = setUp();
  bench.frame([item(1, { budgetMs: 85 })]);
  bench.next();
  const [{ withdrawn } = { withdrawn: undefined }] = pass(bench, 80).slice(-1);
  assert.deepEqual([withdrawn?.requeued.length, withdrawn?.expired.length], [0, 1]);

  const other = setUp();
  const { message } = other.frame([item(2)], { durable: true });
  other.next();
  pass(other, 200);
  assert.deepEqual(other.dispatcher.suspects('m'), ['a']);
  assert.deepEqual(message.said, []);
});

test('a batcher that stood still itself does not take its workers for silent', () => {
  const bench = setUp();
  bench.frame([item(1)]);
  const batch = bench.next();
  bench.clock.advance(500);
  assert.equal(bench.dispatcher.tick(bench.clock.now()).suspects.length, 0);
  bench.dispatcher.done('a', doneOf(batch?.batchId ?? ''));
  assert.equal(pass(bench, 10)[0]?.suspects.length, 0);
});

test('a request that silences one instance after the other runs alone the third time, and not again', () => {
  const bench = setUp();
  const runs: number[][] = [];
  bench.frame([item(1, { budgetMs: 60_000 }), item(2, { budgetMs: 60_000 })]);
  for (const worker of ['b', 'c', 'd', 'e', 'f', 'g']) {
    const batch = bench.next();
    if (batch !== undefined) runs.push(batch.seqs);
    if (batch?.seqs.includes(1)) pass(bench, 80);
    else bench.dispatcher.done(batch?.worker ?? '', doneOf(batch?.batchId ?? ''));
    bench.worker(worker, 1);
  }
  assert.deepEqual(runs, [[1, 2], [1, 2], [1], [2]]);
});

test('when an executor was lost each of its requests runs alone; who loses a second one is given up', () => {
  const bench = setUp();
  bench.frame([item(1), item(2)]);
  const batch = bench.next();
  const lost = { errorCode: 'BACKEND_FAILED', lost: true };
  const ended = bench.dispatcher.done('a', doneOf(batch?.batchId ?? '', lost));
  assert.equal(ended?.requeued.length, 2);
  assert.deepEqual(bench.dispatcher.suspects('m'), ['a'], 'its executor is being replaced');
  bench.worker('b', 2);
  const first = bench.next();
  assert.deepEqual(first?.seqs, [1]);
  const again = bench.dispatcher.done('b', doneOf(first?.batchId ?? '', lost));
  assert.deepEqual(
    again?.abandoned.map(({ item: { seq } }) => seq),
    [1],
  );
  bench.worker('c', 1);
  assert.deepEqual(bench.next()?.seqs, [2]);
});

test('while one executor of a worker is silent with one batch, its neighbour gets no second one: it could land there', () => {
  const bench = new Bench();
  bench.worker('a', 4, { slots: 2, runMsOne: 10, runMsFull: 10 });
  bench.dispatcher.tick(bench.clock.now());
  bench.frame([item(1)]);
  const hung = bench.next();
  pass(bench, 80);
  assert.deepEqual(bench.next()?.seqs, [1], 'the other executor takes it');
  bench.frame([item(2)]);
  assert.equal(bench.dispatcher.next('m').retryInMs, Number.POSITIVE_INFINITY);
  assert.equal(hung?.worker, 'a');
});

test('a batcher all of whose instances are silent is helpless only if another can run its work', () => {
  const bench = setUp();
  bench.frame([item(1)]);
  bench.next();
  pass(bench, 80);
  const now = () => bench.clock.now();
  assert.equal(bench.dispatcher.helpless('m', now()), false);
  const other = new Bench();
  other.worker('x', 1);
  other.dispatcher.tick(other.clock.now());
  const batcher = other.dispatcher.loadOf('m', other.clock.now());
  const state = { instance: 'other', epoch: 1, seq: 1, sentMs: 0, level: 0, batcher };
  bench.dispatcher.onGatewayLoad('m', state, now());
  assert.equal(bench.dispatcher.helpless('m', now()), true);
  bench.clock.advance(2_000);
  assert.equal(bench.dispatcher.helpless('m', now()), false, 'it was not heard for long');
});
