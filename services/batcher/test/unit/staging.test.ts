import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bench, doneOf, item } from './fixtures.ts';

/** One instance whose batches take `runMs`, on a way that takes `hopMs` there and back, after enough batches to know both. */
const setUp = (runMs: number, hopMs: number, options = {}) => {
  const bench = new Bench({}, options);
  bench.worker('w', 2, { runMsOne: runMs, runMsFull: runMs });
  const run = (seq: number) => {
    bench.frame([item(seq)]);
    const batch = bench.next();
    bench.clock.advance(runMs + hopMs);
    bench.dispatcher.done('w', doneOf(batch?.batchId ?? '', { runMs }));
    bench.dispatcher.credits.grant('w', 'm', 1);
  };
  for (let seq = 1; seq <= 100; seq += 1) run(seq);
  return bench;
};

test('the second batch of an instance leaves when the first is nearly done, and takes what came meanwhile', () => {
  const bench = setUp(40, 0.5);
  bench.frame([item(1_001)]);
  assert.deepEqual(bench.next()?.seqs, [1_001]);
  bench.frame([item(1_002)]);
  const { dispatch, retryInMs } = bench.dispatcher.next('m');
  assert.equal(dispatch, undefined);
  assert.ok(retryInMs > 35 && retryInMs < 39.5, `${retryInMs}`);
  bench.clock.advance(10);
  bench.frame([item(1_003)], { trafficClass: 'vip' });
  assert.equal(bench.next(), undefined);
  bench.clock.advance(retryInMs - 10);
  assert.deepEqual(bench.next()?.seqs, [1_003, 1_002]);
});

test('a long way to the worker makes it leave earlier', () => {
  const [near, far] = [setUp(40, 0.5), setUp(40, 10)].map((bench) => {
    bench.frame([item(1_001), item(1_002)]);
    bench.next();
    bench.frame([item(1_003)]);
    return bench.dispatcher.next('m').retryInMs;
  });
  assert.ok(near !== undefined && far !== undefined && near - far > 9 && near - far < 11, `${near} and ${far}`);
});

test('a model that runs for less than the way to its worker is staged at once', () => {
  const bench = setUp(0.5, 0.3);
  bench.frame([item(1_001)]);
  bench.next();
  bench.frame([item(1_002)]);
  assert.deepEqual(bench.next()?.seqs, [1_002]);
});

test('an idle instance is served before a busy one', () => {
  const bench = setUp(40, 0.5);
  bench.frame([item(1_001)]);
  bench.next();
  bench.worker('idle', 1);
  bench.frame([item(1_002)]);
  assert.equal(bench.next()?.worker, 'idle');
});

test('a draining batcher, and one without the mechanism, stage at once', () => {
  const [draining, without] = [setUp(40, 0.5), setUp(40, 0.5, { off: ['late_staging'] })];
  draining.dispatcher.draining = true;
  for (const bench of [draining, without]) {
    bench.frame([item(1_001)]);
    bench.next();
    bench.frame([item(1_002)]);
    assert.deepEqual(bench.next()?.seqs, [1_002]);
  }
});
