import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LoadState, loadStateCodec } from '@spillway/contracts/messages';
import { loadSubject } from '@spillway/contracts/subjects';
import { until } from '@spillway/testing/until';
import { item, MeshBench } from './bench.ts';

/** Collects what batchers say of the model. */
const listen = (bench: MeshBench): LoadState[] => {
  const states: LoadState[] = [];
  bench.gateway.bus.subscribe(loadSubject('m'), ({ payload }) => states.push(loadStateCodec.decode(payload)));
  return states;
};

test('a batcher says its load 20 times a second while there is traffic, else once', async () => {
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  const states = listen(bench);
  const worker = bench.worker(batcher, { credits: 1, maxBatchSize: 4, runMsOne: 4_000, runMsFull: 4_000 });
  await until('the idle state', () => states.length > 0);
  const [idle] = states;
  assert.deepEqual([idle?.batcher?.operatingRows, idle?.batcher?.healthy, idle?.batcher?.backlog.length], [4, 1, 3]);
  assert.ok((idle?.epoch ?? 0) > 1_600_000_000, `${idle?.epoch}`);

  await bench.gateway.publish('standard', [item(1)]);
  const first = await worker.batch(0);
  for (let seq = 2; seq <= 40; seq += 1) await bench.gateway.publish('standard', [item(seq)]);
  // What waits in the stream is known from the next delivery on: 31 requests of 1000 ims each, but for the four pulled then.
  worker.done(first);
  worker.credits(1);
  const second = await worker.batch(1);
  const near = (value: number | undefined, rows: number): boolean => Math.abs((value ?? 0) - rows * 1_000) < 3 * 1_000;
  await until('the look at the stream', () => {
    const standard = states.at(-1)?.batcher?.backlog[1];
    return near(standard?.pending, 27) && near(standard?.held, 8);
  });

  worker.auto = true;
  worker.done(second);
  worker.credits(1);
  const from = states.length;
  let last = 40;
  await until('two states are closer than a second, the idle pace', async () => {
    last += 1;
    await bench.gateway.publish('standard', [item(last)]);
    const sent = states.slice(from).map(({ sentMs }) => sentMs);
    return sent.some((ms, i) => i > 0 && ms - (sent[i - 1] ?? 0) < 900);
  });
  const seqs = states.map(({ seq }) => seq);
  assert.deepEqual(
    seqs,
    [...seqs].sort((a, b) => a - b),
  );
});

test('a stream that is empty is known to be, although no delivery says so', async () => {
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  const states = listen(bench);
  bench.worker(batcher, { credits: 1 });
  const last = () => states.at(-1)?.batcher?.backlog[0];
  const ageMs = () => last()?.pendingAgeMs ?? -1;
  await until('the look at the stream', () => ageMs() >= 0 && ageMs() < 20);
  assert.equal(last()?.pending, 0);
});

test('a request that cannot finish in time any more is answered at once, without a free instance', async () => {
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  const runMs = 20_000;
  const worker = bench.worker(batcher, { credits: 1, runMsOne: runMs, runMsFull: runMs });
  for (const seq of [1, 2]) {
    await bench.gateway.publish('standard', [item(seq)]);
    worker.done(await worker.batch(seq - 1), { runMs }); // the first two teach nothing
    worker.credits(1);
  }
  await bench.gateway.publish('standard', [item(3)]);
  const running = await worker.batch(2);
  const sentMs = performance.now();
  await bench.gateway.publish('standard', [item(4, { budgetMs: runMs })]);
  await bench.holds(batcher, 'standard', 1); // what nobody has measured is no reason to drop it
  worker.done(running, { runMs }); // the time is learned from what its worker says
  await until('the answer', () => bench.gateway.replies.length > 0);
  assert.ok(performance.now() - sentMs < runMs, 'not before its deadline');
  const [reply] = bench.gateway.replies;
  assert.deepEqual([reply?.seq, reply?.errorCode, reply?.errorReason], [4, 'OVERLOADED', 'expired']);
});

test('requests of an instance that falls silent run elsewhere', async () => {
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  const silent = bench.worker(batcher, { instance: 'a', credits: 1, runMsOne: 1, runMsFull: 1 });
  await bench.gateway.publish('vip', [item(1), item(2)]);
  await silent.batch(0);
  const other = bench.worker(batcher, { instance: 'b', credits: 1 });
  await other.batch(0);
  assert.deepEqual(other.seqs(), [1, 2]);
  assert.equal(await bench.metric(batcher, 'spillway_batcher_suspects_total', { model: 'm' }), 1);
});

test('a class whose queue policy is full refuses at once', async () => {
  const queuePolicy = { timeoutAction: 'reject', allowTimeoutOverride: true, maxQueueSize: 2 } as const;
  await using bench = await MeshBench.start({ queuePolicy });
  const batcher = await bench.batcher();
  const worker = bench.worker(batcher, { credits: 1 });
  await bench.gateway.publish('standard', [item(1)]);
  await worker.batch(0);
  await bench.gateway.publish('standard', [item(2), item(3), item(4)]);
  await until('the refusal', () => bench.gateway.replies.length > 0);
  const [reply] = bench.gateway.replies;
  assert.deepEqual([reply?.seq, reply?.errorCode, reply?.errorReason], [4, 'OVERLOADED', 'queue_bound']);
});
