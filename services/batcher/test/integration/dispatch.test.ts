import assert from 'node:assert/strict';
import { test } from 'node:test';
import { workStream } from '@spillway/contracts/streams';
import { cancelSubject, healthSubject } from '@spillway/contracts/subjects';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { until } from '@spillway/testing/until';
import { BUDGET_MS, item, MeshBench } from './bench.ts';

test('a frame reaches a worker as a batch and is acknowledged', async () => {
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  const worker = bench.worker(batcher, { credits: 1 });
  await bench.gateway.publish('standard', [item(1), item(2)]);
  const batch = await worker.batch(0);
  assert.deepEqual([...batch.replyTo], [bench.gateway.inbox]);
  assert.equal(batch.closedBy, 'idle');
  assert.equal(batch.trafficClass, 'standard');
  assert.deepEqual(
    batch.items.map(({ seq, requestId, tensors }) => [seq, requestId, Buffer.from(tensors).toString()]),
    [
      [1, 'r1', 'tensors of 1'],
      [2, 'r2', 'tensors of 2'],
    ],
  );
  const [first] = batch.items;
  assert.ok(first && first.queueMs >= 0, `${first?.queueMs}`);
  assert.ok(Math.abs(first.budgetMs + first.queueMs - BUDGET_MS) < 1, `${first.budgetMs} + ${first.queueMs}`);
  await until('the stream is empty', async () => (await bench.gateway.streamSize(workStream('standard'))) === 0);
});

test('what was queued while no worker was there runs vip, standard, bulk, by deadline inside each', async () => {
  await using bench = await MeshBench.start();
  const clock = new ManualClock();
  const batcher = await bench.batcher(clock);
  const publish = (trafficClass: 'vip' | 'standard' | 'bulk', seq: number, budgetMs: number) =>
    bench.gateway.publish(trafficClass, [item(seq, { budgetMs })]);
  await publish('bulk', 31, 60_000);
  await publish('bulk', 32, 30_000);
  await publish('standard', 21, 60_000);
  await publish('standard', 22, 30_000);
  await publish('standard', 23, 45_000);
  await publish('vip', 11, 60_000);
  await publish('vip', 12, 30_000);
  // All seven fit the window of two batches: beyond it the stream is first in, first out.
  const worker = bench.worker(batcher, { credits: 2, auto: true, maxBatchSize: 4 });
  // The pause for the answers of all classes lasts as long as the batcher's clock stands still.
  await bench.holds(batcher, 'vip', 2);
  await bench.holds(batcher, 'standard', 3);
  await bench.holds(batcher, 'bulk', 2);
  assert.deepEqual(worker.seqs(), []);
  clock.advance(250);
  await until('all ran', () => worker.seqs().length === 7);
  assert.deepEqual(worker.seqs(), [12, 11, 22, 23, 21, 32, 31]);
});

test('the same holds for a worker that stops asking and goes on', async () => {
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  const worker = bench.worker(batcher, { credits: 1, maxBatchSize: 2 });
  await bench.gateway.publish('standard', [item(1)]);
  const first = await worker.batch(0);
  for (const [trafficClass, seq, budgetMs] of [
    ['bulk', 31, 40_000],
    ['standard', 22, 40_000],
    ['standard', 21, 30_000],
    ['vip', 11, 60_000],
  ] as const) {
    await bench.gateway.publish(trafficClass, [item(seq, { budgetMs })]);
  }
  await bench.holds(batcher, 'vip', 1);
  await bench.holds(batcher, 'standard', 2);
  await bench.holds(batcher, 'bulk', 1);
  worker.auto = true;
  worker.done(first);
  worker.credits(1);
  await until('all ran', () => worker.seqs().length === 5);
  assert.deepEqual(worker.seqs(), [1, 11, 21, 22, 31]);
});

test('while a worker is busy its batcher holds a window, the rest waits in the stream; held bulk does not keep vip out', async () => {
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  const worker = bench.worker(batcher, { credits: 1, maxBatchSize: 4 });
  for (let seq = 1; seq <= 100; seq += 1) await bench.gateway.publish('bulk', [item(seq)]);
  const first = await worker.batch(0);
  await until(
    'a window of bulk is held',
    async () => (await bench.metric(batcher, 'spillway_queue_rows', { class: 'bulk' })) >= 8,
  );
  await bench.gateway.publish('vip', [item(1_000)]);
  await bench.holds(batcher, 'vip', 1);
  const held = await bench.metric(batcher, 'spillway_queue_rows', { class: 'bulk' });
  assert.ok(held <= 16, `${held} rows are held`);
  worker.auto = true;
  worker.done(first);
  worker.credits(1);
  await until('all ran', () => worker.seqs().length === 101);
  assert.equal(worker.seqs()[first.rows], 1_000, 'vip was not the next to run');
  assert.ok(
    worker.batches.every((batch) => batch.rows <= 4),
    'a batch was larger than the worker takes',
  );
});

test('different shapes never share a batch', async () => {
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  const worker = bench.worker(batcher, { auto: true });
  await until('the worker is up', () => worker.up);
  worker.credits(1);
  await Promise.all([
    bench.gateway.publish('standard', [item(1)], { shapes: 'a' }),
    bench.gateway.publish('standard', [item(2)], { shapes: 'b' }),
    bench.gateway.publish('standard', [item(3)], { shapes: 'a' }),
  ]);
  await until('all ran', () => worker.seqs().length === 3);
  for (const { items } of worker.batches) assert.equal(new Set(items.map(({ seq }) => seq % 2)).size, 1);
});

test('a cancelled request does not run, whether it waits here or still in the stream', async () => {
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  bench.gateway.beat();
  // Sent long before: by how much the beat is late on a crowded machine, by so much the frame seems younger than it is.
  await bench.gateway.publish('standard', [item(1), item(2)], { sentMs: performance.now() - 20_000 });
  bench.gateway.cancel([1]);
  await bench.gateway.streamSize(workStream('standard')); // the cancel has passed the server
  const worker = bench.worker(batcher, { credits: 1 });
  const first = await worker.batch(0);
  assert.deepEqual(worker.seqs(), [2]);
  await bench.gateway.publish('standard', [item(3), item(4)]);
  await bench.holds(batcher, 'standard', 2);
  bench.gateway.cancel([4]);
  await bench.holds(batcher, 'standard', 1);
  worker.done(first);
  worker.credits(1);
  await worker.batch(1);
  assert.deepEqual(worker.seqs(), [2, 3]);
});

test('a request that waited in the stream has only the rest of its budget, whatever its clock says', async () => {
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  const aheadMs = 1e6;
  bench.gateway.beat(aheadMs);
  // By how much the beat is late on a crowded machine, by so much the batcher sets the other clock back.
  const sentMs = performance.now() + aheadMs - 20_000;
  await bench.gateway.publish('standard', [item(1, { budgetMs: 250 }), item(2)], { sentMs });
  const worker = bench.worker(batcher, { credits: 1 });
  const batch = await worker.batch(0);
  assert.deepEqual(worker.seqs(), [2], 'expired work was started');
  const [sent] = batch.items;
  assert.ok(sent && sent.queueMs >= 10_000 && sent.queueMs < BUDGET_MS, `queue_ms ${sent?.queueMs}`);
  assert.ok(Math.abs(sent.budgetMs + sent.queueMs - BUDGET_MS) < 1, `${sent.budgetMs} + ${sent.queueMs}`);
});

test('a gateway that restarts under its name begins a new clock: its requests are not taken for old ones', async () => {
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  bench.gateway.beat(30_000);
  bench.gateway.beat(0);
  await bench.gateway.publish('standard', [item(1)]);
  const worker = bench.worker(batcher, { credits: 1 });
  const batch = await worker.batch(0);
  assert.ok((batch.items[0]?.queueMs ?? 0) < 30_000, `${batch.items[0]?.queueMs}: by the former clock`);
});

test('max_queue_delay makes a free instance wait for companions, and the batch says so', async () => {
  await using bench = await MeshBench.start({ maxQueueDelayMs: 150 });
  const batcher = await bench.batcher();
  const worker = bench.worker(batcher, { credits: 1 });
  await bench.gateway.publish('standard', [item(1), item(2)]);
  const batch = await worker.batch(0);
  assert.deepEqual([worker.seqs(), batch.closedBy], [[1, 2], 'delay']);
});

test('signals that cannot be read disturb nothing', async () => {
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  const worker = bench.worker(batcher, { credits: 1 });
  const rubbish = Buffer.from([0xff, 0xff]);
  bench.gateway.bus.publish(cancelSubject('gateway-1'), rubbish);
  bench.gateway.bus.publish(healthSubject('gateway-1'), rubbish);
  await bench.gateway.publish('standard', [item(1)]);
  await worker.batch(0);
  assert.deepEqual(worker.seqs(), [1]);
});
