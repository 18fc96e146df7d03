import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bench, doneOf, hello, item, served } from './fixtures.ts';

test('a version goes to a worker that has it; one that nobody has goes to anybody, who answers it', () => {
  const bench = new Bench();
  bench.worker('old', 5, { versions: ['1'] });
  bench.worker('new', 1, { versions: ['2'] });
  bench.frame([item(1)], { version: '2' });
  assert.equal(bench.next()?.worker, 'new');
  bench.frame([item(2)], { version: '9' });
  assert.equal(bench.next()?.worker, 'old');
});

test('a second hello of a worker brings versions and models and keeps its credits', () => {
  const bench = new Bench();
  bench.worker('w', 1);
  bench.dispatcher.join('w', hello('w', served('m', { versions: ['1', '2'] }), served('n')));
  assert.equal(bench.dispatcher.credits.slotsOf('m').length, 1);
  bench.frame([item(1)], { version: '2' });
  assert.deepEqual(bench.next()?.seqs, [1]);
  assert.equal(bench.dispatcher.credits.slotsOf('n').length, 1);
});

test('a slow worker takes what it can finish and leaves the rest to a fast one, instead of dropping it', () => {
  const bench = new Bench();
  const run = (worker: string, runMs: number, times: number) => {
    for (let i = 0; i < times; i += 1) {
      bench.frame([item(900 + i)]);
      const batch = bench.next();
      assert.equal(batch?.worker, worker);
      bench.clock.advance(runMs);
      bench.dispatcher.done(worker, doneOf(batch?.batchId ?? '', { runMs }));
      bench.dispatcher.credits.grant(worker, 'm', 1);
    }
  };
  bench.worker('slow', 1, { runMsOne: 300, runMsFull: 300 });
  run('slow', 300, 4);
  bench.worker('fast', 1, { runMsOne: 20, runMsFull: 20 });
  bench.frame([item(1, { budgetMs: 100 })]);
  const busy = bench.next();
  bench.frame([item(2, { budgetMs: 100 }), item(3, { budgetMs: 900 })]);
  const sent = [busy, bench.next(), bench.next()].map((batch) => [batch?.worker, batch?.seqs]);
  assert.deepEqual(sent.slice(0, 2), [
    ['fast', [1]],
    ['slow', [3]],
  ]);
  bench.clock.advance(20);
  bench.dispatcher.done('fast', doneOf(busy?.batchId ?? '', { runMs: 20 }));
  bench.dispatcher.credits.grant('fast', 'm', 1);
  assert.deepEqual(bench.next()?.seqs, [2]);
});
