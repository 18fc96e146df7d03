import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forgetRequests, handBack } from '../../src/core/hand-back.ts';
import { Bench, doneOf, item, TestMessage } from './fixtures.ts';

test('nothing leaves without a credit, and one credit is one batch', () => {
  const bench = new Bench();
  bench.worker('w', 0);
  bench.frame([item(1), item(2)]);
  assert.equal(bench.next(), undefined);
  bench.dispatcher.credits.grant('w', 'm', 1);
  assert.deepEqual(bench.next(), { batchId: 'b1', worker: 'w', seqs: [1, 2], closedBy: 'idle' });
  bench.frame([item(3)]);
  assert.equal(bench.next(), undefined);
});

test('the worker with the most free credits gets the batch', () => {
  const bench = new Bench();
  bench.worker('a', 1);
  bench.worker('b', 2);
  const workers: (string | undefined)[] = [];
  for (let seq = 1; seq <= 3; seq += 1) {
    bench.frame([item(seq)]);
    workers.push(bench.next()?.worker);
  }
  assert.equal(workers[0], 'b');
  assert.deepEqual(workers.slice(1).sort(), ['a', 'b']);
});

test('a frame is acknowledged when its last request leaves', () => {
  const bench = new Bench();
  bench.worker('w', 2);
  const { message } = bench.frame([1, 2, 3, 4, 5].map((seq) => item(seq)));
  bench.next();
  assert.deepEqual(message.said, []);
  bench.next();
  assert.deepEqual(message.said, ['ack']);
});

test('a request that expires in the queue ends its frame and does not run', () => {
  const bench = new Bench();
  bench.worker('w', 1);
  const { message } = bench.frame([item(1, { budgetMs: 10 })]);
  bench.clock.advance(11);
  const step = bench.dispatcher.next('m');
  assert.equal(step.dispatch, undefined);
  assert.deepEqual(
    step.expired.map((work) => work.item.seq),
    [1],
  );
  assert.deepEqual(message.said, ['ack']);
});

test('a request whose time is over leaves by the timer, without a free instance, and so does one that cannot make it any more', () => {
  const bench = new Bench({ replyMarginMs: 2 });
  bench.worker('w', 1, { runMsOne: 20, runMsFull: 20 });
  for (let seq = 1; seq <= 3; seq += 1) {
    bench.frame([item(seq)]);
    bench.next();
    bench.dispatcher.done('w', doneOf(`b${seq}`, { runMs: 20 }));
    bench.dispatcher.credits.grant('w', 'm', 1);
  }
  bench.frame([item(4)]);
  bench.next();
  bench.dispatcher.tick(bench.clock.now());
  const { message } = bench.frame([item(5, { budgetMs: 46 })], { trafficClass: 'vip' });
  bench.frame([item(6, { budgetMs: 500 })]);
  bench.frame([item(7, { budgetMs: 40 })]);
  const expired = () => {
    bench.clock.advance(5);
    return bench.dispatcher.tick(bench.clock.now()).expired.map((work) => work.item.seq);
  };
  assert.deepEqual(expired(), [7], 'the running batch needs 15 ms more');
  assert.deepEqual([expired(), expired(), expired()], [[], [], []]);
  assert.deepEqual(expired(), [5], 'the running batch is late');
  assert.deepEqual(message.said, ['ack']);
  assert.equal(bench.dispatcher.queues('m')?.requests.rowsOf(1), 1);
});

test('without the mechanism nothing is dropped for its deadline', () => {
  const bench = new Bench({}, { off: ['expired'] });
  bench.worker('w', 1);
  bench.frame([item(1, { budgetMs: 10 })]);
  bench.clock.advance(20);
  assert.deepEqual(bench.dispatcher.tick(bench.clock.now()).expired, []);
  assert.deepEqual(bench.next()?.seqs, [1]);
});

test('rows whose run ended after their deadline are counted', () => {
  const bench = new Bench();
  bench.worker('w', 1);
  bench.frame([item(1, { budgetMs: 20, rows: 2 }), item(2, { budgetMs: 500 })]);
  bench.next();
  bench.clock.advance(25);
  assert.equal(bench.dispatcher.done('w', doneOf('b1', { runMs: 24 }))?.lateRows, 2);
});

test('a batch is predicted by the times of its own variant', () => {
  const bench = new Bench();
  bench.worker('w', 1, { runMsOne: 40, runMsFull: 40 });
  const run = (seq: number, variant: string, runMs: number) => {
    bench.frame([item(seq)], { variant });
    const { dispatch } = bench.dispatcher.next('m');
    bench.clock.advance(runMs);
    bench.dispatcher.done('w', doneOf(dispatch?.batchId ?? '', { runMs }));
    bench.dispatcher.credits.grant('w', 'm', 1);
    return dispatch?.predictedMs ?? 0;
  };
  for (let seq = 1; seq < 100; seq += 2) {
    run(seq, 'lite', 10);
    run(seq + 1, '', 40);
  }
  assert.ok(Math.abs(run(101, 'lite', 10) - 10) < 1);
  assert.ok(Math.abs(run(102, '', 40) - 40) < 1);
  bench.dispatcher.tick(bench.clock.now());
  const { runTimes } = bench.dispatcher.loadOf('m', bench.clock.now());
  assert.deepEqual(
    runTimes.map(({ variant }) => variant),
    ['', 'lite'],
  );
});

test('when a worker is lost its requests run elsewhere, before the others of their class and behind a higher one', () => {
  const bench = new Bench();
  bench.worker('a', 1);
  const { message } = bench.frame([item(1, { budgetMs: 900 })]);
  bench.next();
  bench.frame([item(2, { budgetMs: 100 })]);
  bench.frame([item(3)], { trafficClass: 'vip' });
  const lost = bench.dispatcher.lost('a');
  assert.equal(lost.requeued.length, 1);
  bench.worker('b', 1);
  assert.deepEqual(bench.next()?.seqs, [3, 1, 2]);
  assert.deepEqual(message.said, ['ack'], 'acknowledged once, at its first dispatch');
});

test('a request that loses two workers is given up: it may be the cause', () => {
  const bench = new Bench();
  bench.worker('a', 1);
  bench.frame([item(1)]);
  bench.next();
  assert.equal(bench.dispatcher.lost('a').requeued.length, 1);
  bench.worker('b', 1);
  assert.deepEqual(bench.next()?.seqs, [1]);
  const lost = bench.dispatcher.lost('b');
  assert.deepEqual([lost.requeued.length, lost.abandoned.length], [0, 1]);
  bench.worker('c', 1);
  assert.equal(bench.next(), undefined);
});

test('a request whose time is over when its worker is lost does not run again', () => {
  const bench = new Bench();
  bench.worker('a', 1);
  bench.frame([item(1, { budgetMs: 50 })]);
  bench.next();
  bench.clock.advance(50);
  const lost = bench.dispatcher.lost('a');
  assert.deepEqual([lost.expired.length, lost.requeued.length], [1, 0]);
});

test('a batch that was not started goes elsewhere, and a second end of it is ignored', () => {
  const bench = new Bench();
  bench.worker('a', 1);
  bench.worker('b', 1);
  bench.frame([item(1)]);
  const first = bench.next();
  const ended = bench.dispatcher.done(first?.worker ?? '', doneOf('b1', { notStarted: true }));
  assert.equal(ended?.requeued.length, 1);
  assert.equal(bench.dispatcher.done(first?.worker ?? '', doneOf('b1', { notStarted: true })), undefined);
  const second = bench.next();
  assert.deepEqual(second?.seqs, [1]);
  assert.notEqual(second?.worker, first?.worker);
  bench.dispatcher.done(second?.worker ?? '', doneOf('b2'));
  assert.equal(bench.dispatcher.inFlight.size, 0);
});

test('a worker cannot end the batch of another', () => {
  const bench = new Bench();
  bench.worker('a', 1);
  bench.worker('b', 0);
  bench.frame([item(1)]);
  bench.next();
  assert.equal(bench.dispatcher.done('b', doneOf('b1')), undefined);
  assert.equal(bench.dispatcher.inFlight.size, 1);
});

test('a worker that says goodbye gets no further batch and finishes what it has', () => {
  const bench = new Bench();
  bench.worker('a', 2);
  bench.frame([item(1)]);
  bench.next();
  bench.dispatcher.credits.stop('a');
  bench.dispatcher.credits.grant('a', 'm', 5);
  bench.frame([item(2)]);
  assert.equal(bench.next(), undefined);
  assert.equal(bench.dispatcher.done('a', doneOf('b1'))?.requeued.length, 0);
});

test('cancelled requests leave the queue and end their frame; those of another gateway stay', () => {
  const bench = new Bench();
  bench.worker('w', 0);
  const mine = bench.frame([item(1)], { gateway: 'g1' });
  const other = bench.frame([item(1)], { gateway: 'g2' });
  const removed = bench.dispatcher.cancel('g1', [1, 7]);
  assert.deepEqual(
    removed.map(({ frame }) => frame.gateway),
    ['g1'],
  );
  assert.deepEqual([mine.message.said, other.message.said], [['ack'], []]);
});

test('frames of which nothing has left go back to JetStream; begun ones stay until told', () => {
  const bench = new Bench();
  bench.worker('w', 1, { maxBatchSize: 1 });
  const begun = bench.frame([item(1, { budgetMs: 10 }), item(2)]);
  const whole = bench.frame([item(3), item(4)]);
  bench.next();
  assert.equal(handBack(bench.dispatcher, 'm', 'untouched'), 1);
  assert.deepEqual([begun.message.said, whole.message.said], [[], ['nak']]);
  assert.equal(handBack(bench.dispatcher, 'm', 'all'), 1);
  assert.deepEqual(begun.message.said, ['nak']);
  assert.equal(bench.dispatcher.frames.size, 0);
});

test('a frame on its last delivery is kept: handing it back would lose it', () => {
  const bench = new Bench();
  const { message } = bench.frame([item(1)], { message: new TestMessage(3) });
  assert.equal(handBack(bench.dispatcher, 'm', 'all'), 0);
  assert.deepEqual(message.said, []);
});

test('while the bus is away waiting requests are forgotten without a word; a job and a second run stay', () => {
  const bench = new Bench();
  bench.worker('a', 1);
  bench.frame([item(1)]);
  bench.next();
  bench.dispatcher.lost('a'); // 1 is acknowledged and waits for its second run
  const waiting = bench.frame([item(2)]);
  const job = bench.frame([item(3)], { durable: true });
  assert.deepEqual(
    forgetRequests(bench.dispatcher, bench.clock.now()).map((work) => work.item.seq),
    [2],
  );
  assert.deepEqual([waiting.message.said, job.message.said], [[], []]);
  bench.worker('b', 2);
  assert.deepEqual(bench.next()?.seqs, [1]);
  assert.deepEqual(bench.dispatcher.queues('m')?.jobs.rowsOf(1), 1);
});

test('a paused model lets nothing leave until the pause is over', () => {
  const bench = new Bench();
  bench.worker('w', 1);
  bench.frame([item(1)]);
  bench.dispatcher.queues('m')?.pauseUntil(bench.clock.now() + 15);
  const step = bench.dispatcher.next('m');
  assert.deepEqual([step.dispatch, step.retryInMs], [undefined, 15]);
  bench.clock.advance(15);
  assert.deepEqual(bench.next()?.seqs, [1]);
});

test('a lingering batch says when to ask again', () => {
  const bench = new Bench({ maxQueueDelayMs: 20 });
  bench.worker('w', 1);
  bench.frame([item(1)]);
  assert.equal(bench.dispatcher.next('m').retryInMs, 20);
  bench.clock.advance(20);
  assert.equal(bench.next()?.closedBy, 'delay');
});
