import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { JobsFloor } from '../../src/core/jobs-floor.ts';
import { pullWindows } from '../../src/core/pull-windows.ts';
import { SpareRate } from '../../src/core/spare-rate.ts';
import { Bench, doneOf, item, TestMessage } from './fixtures.ts';

const job = { durable: true } as const;

test('jobs run only while no request waits', () => {
  const bench = new Bench();
  bench.worker('w', 2);
  bench.frame([item(1)], job);
  bench.frame([item(2)]);
  assert.deepEqual(bench.next()?.seqs, [2]);
  assert.equal(bench.next(), undefined, 'the instance runs: a job is never staged behind it');
  bench.dispatcher.done('w', doneOf('b1'));
  bench.dispatcher.credits.grant('w', 'm', 1);
  assert.deepEqual(bench.next()?.seqs, [1]);
});

test('a job never expires and leaves in the order it came', () => {
  const bench = new Bench();
  bench.worker('w', 1);
  for (const seq of [1, 2, 3]) bench.frame([item(seq, { budgetMs: 0 })], job);
  bench.clock.advance(3_600_000);
  assert.deepEqual(bench.next()?.seqs, [1, 2, 3]);
});

test('a job is left to its worker when it is done, and handed back when the worker is lost', () => {
  const bench = new Bench();
  bench.worker('w', 2);
  const first = bench.frame([item(1)], job);
  bench.next();
  bench.dispatcher.done('w', doneOf('b1'));
  const second = bench.frame([item(2)], job);
  bench.next();
  const lost = bench.dispatcher.lost('w');
  assert.deepEqual([first.message.said, second.message.said], [[], ['nak']]);
  assert.deepEqual([lost.requeued.length, lost.deadJobs.length], [0, 0]);
  assert.equal(bench.dispatcher.frames.size, 0);
});

test('a job that loses its worker on its last delivery is a dead letter', () => {
  const bench = new Bench();
  bench.worker('w', 1);
  const { message } = bench.frame([item(1)], { ...job, message: new TestMessage(3) });
  bench.next();
  const lost = bench.dispatcher.lost('w');
  assert.deepEqual([lost.deadJobs.length, message.said], [1, []]);
});

test('a job that was not started waits here again and costs no delivery', () => {
  const bench = new Bench();
  bench.worker('w', 1);
  const { message } = bench.frame([item(1)], job);
  bench.next();
  bench.dispatcher.done('w', doneOf('b1', { notStarted: true }));
  bench.dispatcher.credits.grant('w', 'm', 1);
  assert.deepEqual(bench.next()?.seqs, [1]);
  assert.deepEqual(message.said, []);
});

test('under full load jobs get their share of the rows, in full batches', () => {
  const bench = new Bench({}, { jobsShare: 0.02 });
  bench.worker('w', 1);
  for (let seq = 1; seq <= 8; seq += 1) bench.frame([item(seq)], job);
  let [jobRows, requestRows] = [0, 0];
  for (let seq = 100; seq < 500; seq += 1) {
    bench.frame([0, 1, 2, 3].map((i) => item(seq * 10 + i)));
    const batch = bench.next();
    if ((batch?.seqs[0] ?? 0) <= 8) jobRows += batch?.seqs.length ?? 0;
    else requestRows += batch?.seqs.length ?? 0;
    bench.dispatcher.done('w', doneOf(batch?.batchId ?? ''));
    bench.dispatcher.credits.grant('w', 'm', 1);
  }
  assert.equal(jobRows, 8);
  assert.ok(requestRows >= 1_500, `${requestRows}`);
});

test('the floor pays a full batch after enough rows, or a small one each second', () => {
  const clock = new ManualClock();
  const floor = new JobsFloor(clock, 0.02);
  assert.equal(floor.dueRows(4), 0);
  floor.earn(199, 4);
  assert.equal(floor.dueRows(4), 0);
  floor.earn(1, 4);
  assert.equal(floor.dueRows(4), 4);
  floor.spend(4);
  floor.earn(50, 4);
  assert.equal(floor.dueRows(4), 0);
  clock.advance(1_000);
  assert.equal(floor.dueRows(4), 1);
});

test('jobs are pulled for places that run nothing, or for what the floor owes them', () => {
  const bench = new Bench({}, { jobsShare: 0.02 });
  bench.worker('w', 2);
  const limits = { batches: 2, bytes: 1_000 };
  const windows = () => {
    const queues = bench.dispatcher.queues('m');
    assert.ok(queues);
    const { requests, jobs } = pullWindows(limits, bench.dispatcher.credits.slotsOf('m'), queues);
    return [requests.rows, jobs.rows, jobs.bytes];
  };
  assert.deepEqual(windows(), [8, 4, 1_000]);
  bench.frame([item(1)]);
  assert.equal(windows()[1], 0, 'a request waits');
  bench.next();
  assert.equal(windows()[1], 0, 'the only place runs');
  bench.dispatcher.queues('m')?.floor.earn(200, 4);
  assert.equal(windows()[1], 4);
});

test('beyond their floor jobs have most of what requests leave free, and nothing of the last twentieth', () => {
  const spare = new SpareRate(0);
  spare.tick(2, 0, 100, 10);
  spare.spend(1_000);
  assert.equal(spare.open, true, 'without requests nobody needs the rest');

  spare.tick(2, 1, 100, 20);
  spare.spend(100);
  assert.equal(spare.open, false);
  spare.tick(2, 1, 100, 30);
  spare.spend(9); // 0.9 · (2 - 1) · 10 ms
  assert.equal(spare.open, false);
  spare.tick(2, 1, 100, 31);
  assert.equal(spare.open, true);

  spare.tick(2, 1.95, 100, 41);
  assert.equal(spare.open, false, 'requests need it all');
});

test('a job waits while requests use the capacity, although none of them waits here now', () => {
  const bench = new Bench();
  bench.worker('w', 1, { runMsOne: 20, runMsFull: 20 });
  const round = (seq: number) => {
    bench.frame([item(seq)]);
    const batch = bench.next();
    bench.dispatcher.tick(bench.clock.now());
    for (let i = 0; i < 2; i += 1) {
      bench.clock.advance(10);
      bench.dispatcher.tick(bench.clock.now());
    }
    bench.dispatcher.done('w', doneOf(batch?.batchId ?? '', { runMs: 20 }));
    bench.dispatcher.credits.grant('w', 'm', 1);
    return batch?.seqs;
  };
  const full = [0, 1, 2, 3].map((i) => item(900 + i));
  for (let seq = 1; seq <= 100; seq += 1) {
    bench.frame(full.map((one) => ({ ...one, seq: one.seq + 4 * seq })));
    round(seq);
  }
  while (bench.dispatcher.queues('m')?.requests.empty === false) round(5_000);
  bench.frame([item(10_000)], job);
  assert.equal(bench.next(), undefined);
  for (let i = 0; i < 100; i += 1) {
    bench.clock.advance(10);
    bench.dispatcher.tick(bench.clock.now());
  }
  assert.deepEqual(bench.next()?.seqs, [10_000]);
});

test('beside requests that never pause, jobs have a batch of their own when its time is saved, but not before a vip', () => {
  const bench = new Bench();
  bench.worker('w', 1, { maxBatchSize: 10, runMsOne: 4.5, runMsFull: 9 });
  const ran = { requests: 0, jobs: 0 };
  let seq = 100;
  for (let i = 0; i < 200; i += 1) {
    if (bench.dispatcher.queues('m')?.jobs.empty)
      bench.frame(
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((n) => item(n)),
        job,
      );
    seq += 2;
    bench.frame([item(seq), item(seq + 1)]); // a fifth of a batch
    const { dispatch } = bench.dispatcher.next('m');
    bench.clock.advance(10);
    bench.dispatcher.tick(bench.clock.now());
    if (dispatch === undefined) continue;
    ran[dispatch.work[0]?.frame.durable ? 'jobs' : 'requests'] += dispatch.rows;
    bench.dispatcher.done('w', doneOf(dispatch.batchId, { runMs: 5 }));
    bench.dispatcher.credits.grant('w', 'm', 1);
  }
  assert.ok(ran.jobs > 300, `${ran.jobs} rows of jobs`);
  assert.ok(ran.requests > 385, `${ran.requests} rows of requests`);

  const { spare, capacity } = bench.dispatcher.queues('m') ?? assert.fail();
  for (let i = 0; i < 20; i += 1) spare.tick(1, 0.2, 2 * capacity.runMs, bench.clock.now() + 10 * i);
  bench.frame([item(5_000)], { trafficClass: 'vip' });
  assert.deepEqual(bench.next()?.seqs.slice(0, 1), [5_000]);
});
