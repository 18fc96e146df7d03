import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PulledMessage, PullSource } from '@spillway/bus/pull';
import type { Batch } from '@spillway/contracts/messages';
import { DLQ_STREAM, JOBS_STREAM, workConsumer, workStream } from '@spillway/contracts/streams';
import { until } from '@spillway/testing/until';
import { item, MeshBench } from './bench.ts';

test('when a worker is lost its requests run elsewhere', async () => {
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  const first = bench.worker(batcher, { instance: 'a', credits: 1 });
  await bench.gateway.publish('standard', [item(1), item(2)]);
  await first.batch(0);
  const second = bench.worker(batcher, { instance: 'b' });
  await until('the second worker is up', () => second.up);
  await first.close();
  second.credits(1);
  await second.batch(0);
  assert.deepEqual(second.seqs(), [1, 2]);
});

test('what a lost worker had goes to a batcher that has one, with what was held for it', async () => {
  await using bench = await MeshBench.start();
  const [one, two] = [await bench.batcher(), await bench.batcher()];
  const leaving = bench.worker(one, { instance: 'a', credits: 1, maxBatchSize: 1 });
  for (let seq = 1; seq <= 5; seq += 1) await bench.gateway.publish('vip', [item(seq)]);
  await leaving.batch(0);
  await bench.holds(one, 'vip', 2);
  const staying = bench.worker(two, { instance: 'b', credits: 1, auto: true });
  await until('the second worker is up', () => staying.up);
  await leaving.close();
  await until('all ran', () => new Set(staying.seqs()).size >= 5);
  assert.deepEqual([...new Set(staying.seqs())].sort(), [1, 2, 3, 4, 5]);
});

for (const [where, batchers] of [
  ['of one batcher', 1],
  ['at each of two batchers', 2],
] as const) {
  test(`a request that loses two workers ${where} is answered, not run a third time`, async () => {
    await using bench = await MeshBench.start();
    const first = await bench.batcher();
    const second = batchers === 1 ? first : await bench.batcher();
    await bench.gateway.publish('standard', [item(7)]);
    for (const [instance, batcher] of [
      ['a', first],
      ['b', second],
    ] as const) {
      const worker = bench.worker(batcher, { instance, credits: 1 });
      await worker.batch(0);
      await worker.close();
    }
    await until('the answer', () => bench.gateway.replies.length > 0);
    const [reply] = bench.gateway.replies;
    assert.deepEqual([reply?.seq, reply?.errorCode, reply?.errorReason], [7, 'BACKEND_FAILED', 'worker_lost']);
  });
}

test('a worker that gives its credits to another batcher does not keep requests waiting here', async () => {
  await using bench = await MeshBench.start();
  const [one, two] = [await bench.batcher(), await bench.batcher()];
  const moving = bench.worker(one, { instance: 'a', credits: 1, maxBatchSize: 1 });
  for (let seq = 1; seq <= 3; seq += 1) await bench.gateway.publish('standard', [item(seq)]);
  const batch = await moving.batch(0);
  const there = bench.worker(two, { instance: 'a', credits: 1, auto: true });
  moving.done(batch); // and no further credit: its home is elsewhere now
  await until('the others ran there', () => there.seqs().length >= 2);
  assert.deepEqual(there.seqs().sort(), [2, 3]);
});

test('what a leaving worker gives back after the last of its kind has gone runs at another batcher', async () => {
  await using bench = await MeshBench.start();
  const [one, two] = [await bench.batcher(), await bench.batcher()];
  const leaving = bench.worker(one, { instance: 'a', credits: 1 });
  await bench.gateway.publish('standard', [item(1)]);
  const batch = await leaving.batch(0);
  leaving.goodbye();
  const staying = bench.worker(two, { instance: 'b', credits: 1 });
  await until('the first batcher has let go of the model', async () => {
    const closed = await bench.metric(one, 'spillway_batcher_free_credits', { model: 'm' });
    return closed === 0 && staying.up;
  });
  leaving.done(batch, { notStarted: true });
  await staying.batch(0);
  assert.deepEqual(staying.seqs(), [1]);
});

test('a frame whose deliveries all went astray is sent again, and not for ever', async () => {
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  const { bus } = bench.gateway;
  /** Pulls the frame as often as it is delivered, and never says a word. */
  const loseAll = async (): Promise<void> => {
    let deliveries = 0;
    let isAnother = false;
    const take = (message: PulledMessage): void => {
      isAnother = message.deliveries < deliveries;
      deliveries = message.deliveries;
      if (isAnother) message.nak();
      else source.request(1);
    };
    const source: PullSource = new PullSource(bus, workConsumer('standard', 'm', 250), take, () => source.request(1));
    source.start();
    await until('it is sent again or answered', () => isAnother || bench.gateway.replies.length > 0);
    await source.stop();
  };
  await bench.gateway.publish('standard', [item(1)]);
  await loseAll();
  const worker = bench.worker(batcher, { credits: 1 });
  await worker.batch(0);
  assert.deepEqual(worker.seqs(), [1]);
  worker.done(worker.batches[0] as Batch);
  await worker.close();

  await bench.gateway.publish('standard', [item(2, { losses: 1 })]); // as if it had been sent again before
  await loseAll();
  const [reply] = bench.gateway.replies;
  assert.deepEqual([reply?.seq, reply?.errorCode, reply?.errorReason], [2, 'BACKEND_FAILED', 'worker_lost']);
});

test('two batchers share one consumer: every frame runs once', async () => {
  await using bench = await MeshBench.start();
  const batchers = [await bench.batcher(), await bench.batcher()];
  const workers = batchers.map((batcher, i) => bench.worker(batcher, { instance: `w${i}`, credits: 2, auto: true }));
  await until('both are up', () => workers.every((worker) => worker.up));
  const seqs: number[] = [];
  await until('each has had its part', async () => {
    const next = Array.from({ length: 10 }, (_, i) => seqs.length + i + 1);
    seqs.push(...next);
    await Promise.all(next.map((seq) => bench.gateway.publish('standard', [item(seq)])));
    return seqs.length >= 300 && workers.every((worker) => worker.seqs().length > 60);
  });
  await until('all ran', () => workers.reduce((sum, worker) => sum + worker.seqs().length, 0) >= seqs.length);
  assert.deepEqual(
    workers.flatMap((worker) => worker.seqs()).sort((a, b) => a - b),
    seqs,
  );
  await until('all are acknowledged', async () => (await bench.gateway.streamSize(workStream('standard'))) === 0);
});

test('a draining batcher hands back what it holds, waits for what runs and sends its workers elsewhere', async () => {
  await using bench = await MeshBench.start();
  const leaving = await bench.batcher();
  const busy = bench.worker(leaving, { instance: 'a', credits: 1, maxBatchSize: 1 });
  for (let seq = 1; seq <= 4; seq += 1) await bench.gateway.publish('standard', [item(seq)]);
  const running = await busy.batch(0);
  await bench.holds(leaving, 'standard', 2);
  const drained = leaving.drain(60_000);
  const staying = await bench.batcher();
  const other = bench.worker(staying, { instance: 'b', credits: 1, auto: true });
  await until('the worker is told', () => busy.drained);
  await until('the others run there', () => other.seqs().length >= 3);
  busy.done(running);
  await drained;
  assert.deepEqual(busy.seqs(), [1]);
  assert.deepEqual(other.seqs().sort(), [2, 3, 4]);
});

test('a begun frame leaves a draining batcher as a batch, when its worker still asks', async () => {
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  const worker = bench.worker(batcher, { credits: 1, maxBatchSize: 1 });
  await bench.gateway.publish('standard', [item(1), item(2)]);
  worker.done(await worker.batch(0));
  const drained = batcher.drain(60_000);
  worker.credits(1);
  const last = await worker.batch(1);
  assert.equal(last.closedBy, 'drain');
  worker.done(last);
  await drained;
  assert.deepEqual(worker.seqs(), [1, 2]);
});

test('NATS is killed and comes back: frames flow again', async () => {
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  const worker = bench.worker(batcher, { credits: 2, auto: true });
  await bench.gateway.publish('standard', [item(1)]);
  await worker.batch(0);
  await bench.nats.kill();
  await until('the gateway notices', () => !bench.gateway.bus.up);
  await bench.nats.restart();
  let seq = 1;
  await until('something flows', async () => {
    seq += 1;
    await bench.gateway.publish('standard', [item(seq)]).catch(() => undefined);
    return worker.seqs().some((got) => got > 1);
  });
});

test('a job says where it is acknowledged, is extended while it runs, and comes again when its worker is lost', async () => {
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  // Of 1300 ms for a batch comes an `ack_wait` of 4 s, and a word that the job is worked on after a third of that.
  const first = bench.worker(batcher, { instance: 'a', credits: 1, runMsOne: 1_300, runMsFull: 1_300 });
  await bench.gateway.publishJob(1);
  const batch = await first.batch(0);
  const ackSubject = batch.items[0]?.job?.ackSubject ?? '';
  assert.match(ackSubject, /^\$JS\.ACK\./);
  const said: string[] = [];
  bench.gateway.bus.subscribe(ackSubject, ({ payload }) => said.push(Buffer.from(payload).toString()));
  await until('it is extended', () => said.length > 0);
  assert.equal(said[0], '+WPI');
  const second = bench.worker(batcher, { instance: 'b' });
  await until('the second worker is up', () => second.up);
  second.credits(1);
  assert.equal(second.batches.length, 0, 'delivered again although it runs');
  await first.close();
  const again = await second.batch(0);
  const { job } = again.items[0] ?? {};
  bench.gateway.bus.publish(job?.ackSubject ?? '', Buffer.from('+ACK'));
  second.done(again);
  await until('the job is gone', async () => (await bench.gateway.streamSize(JOBS_STREAM)) === 0);
});

test('a job that loses its worker at every delivery ends among the dead letters', async () => {
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  await bench.gateway.publishJob(1);
  for (let delivery = 1; delivery <= 5; delivery += 1) {
    const worker = bench.worker(batcher, { instance: `w${delivery}`, credits: 1 });
    await worker.batch(0);
    await worker.close();
  }
  await until('the dead letter', async () => (await bench.gateway.streamSize(DLQ_STREAM)) === 1);
  await until('the job is gone', async () => (await bench.gateway.streamSize(JOBS_STREAM)) === 0);
  assert.equal(await bench.gateway.streamSize('SPILLWAY_RESULTS'), 1);
});

test('a message that is no frame is terminated and harms nobody', async () => {
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  const worker = bench.worker(batcher, { credits: 1 });
  await bench.gateway.bus.publishToStream('spillway.v1.work.standard.m', Buffer.from([0xff, 0xff, 0xff]));
  await bench.gateway.publish('standard', [item(1)]);
  await worker.batch(0);
  assert.deepEqual(worker.seqs(), [1]);
  await until('the stream is empty', async () => (await bench.gateway.streamSize(workStream('standard'))) === 0);
});

test('batchers whose workers differ in speed share the consumer all the same', async () => {
  await using bench = await MeshBench.start();
  const [one, two] = [await bench.batcher(), await bench.batcher()];
  const fast = bench.worker(one, { instance: 'a', credits: 1, auto: true, runMsOne: 80, runMsFull: 80 });
  await bench.gateway.publish('standard', [item(1)]);
  await fast.batch(0);
  await fast.close();
  const slow = bench.worker(two, { instance: 'b', credits: 1, auto: true, runMsOne: 900, runMsFull: 900 });
  await bench.gateway.publish('standard', [item(2)]);
  await slow.batch(0);
  assert.deepEqual(slow.seqs(), [2]);
});

test('a job that waits on its last delivery survives the drain of its batcher', async () => {
  await using bench = await MeshBench.start();
  const leaving = await bench.batcher();
  for (let delivery = 1; delivery <= 4; delivery += 1) {
    const worker = bench.worker(leaving, { instance: `w${delivery}`, credits: 1 });
    if (delivery === 1) await bench.gateway.publishJob(1);
    await worker.batch(0);
    await worker.close();
  }
  const busy = bench.worker(leaving, { instance: 'busy', credits: 1 });
  const again = await busy.batch(0); // the fifth delivery
  busy.done(again, { notStarted: true });
  await bench.holds(leaving, 'jobs_standard', 1); // it waits here, without a credit
  await leaving.drain(30_000);
  const staying = await bench.batcher();
  const other = bench.worker(staying, { instance: 'other', credits: 1 });
  await other.batch(0);
  assert.deepEqual(other.seqs(), [1]);
});
