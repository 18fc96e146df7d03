import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openBucket } from '@spillway/bus/kv';
import { watchLeases } from '@spillway/bus/leases';
import { MODELS, type ModelRecord } from '@spillway/contracts/buckets';
import { monotonicClock } from '@spillway/lifecycle/clock';
import { FaultProxy } from '@spillway/testing/fault-proxy';
import { startNatsServer, type TestServer } from '@spillway/testing/nats-server';
import { until } from '@spillway/testing/until';
import { startBatcherPeer } from '../support/batcher-peer.ts';
import { fp32Of, itemsOf, makeBatch } from '../support/batches.ts';
import { makeRepository } from '../support/fixtures.ts';
import { fp32, int64 } from '../support/tensors.ts';
import { openInbox, startWorker, suspend } from '../support/worker.ts';

const SLOW = `
backend: simulated
max_batch_size: 4
input: [{ name: x, data_type: TYPE_FP32, dims: [1] }]
output: [{ name: y, data_type: TYPE_FP32, dims: [1] }]
parameters: { base_ms: 400, per_row_ms: 0 }
variants: [{ name: lite, quality: 0.5, parameters: { base_ms: 1 } }]
degrade: { to: [lite] }`;

let nats: TestServer;
let models: Awaited<ReturnType<typeof makeRepository>>;
let inbox: Awaited<ReturnType<typeof openInbox>>;

before(async () => {
  nats = await startNatsServer();
  models = await makeRepository({
    linear: { graph: 'linear' },
    spin: { graph: 'spin', yaml: 'run_limit_ms: 400' },
    slow: { yaml: SLOW },
    broken: { graph: Buffer.from('x') },
  });
  inbox = await openInbox(nats.url);
});
after(async () => {
  await inbox[Symbol.asyncDispose]();
  await models[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});

const linear = (value: number, over = {}) =>
  makeBatch('linear', [[fp32('x', [1, 3], [value, 0, 0])]], { replyTo: [inbox.subject], ...over });
const slow = () => makeBatch('slow', [[fp32('x', [1, 1], [7])]], { replyTo: [inbox.subject] });
const hang = () => makeBatch('spin', [[int64('n', [1, 1], [1e12])]], { replyTo: [inbox.subject] });

test('batcher and catalogue hear of the variants; the reply to a batch of one says which ran', async () => {
  await using batcher = await startBatcherPeer(nats.url, 'batcher-1');
  await using _worker = await startWorker(nats.url, models.dir);
  const worker = await batcher.worker('slow');
  const served = worker.hello?.models.find(({ model }) => model === 'slow');
  const times = served?.variants?.map(({ variant, runMsOne, runMsFull }) => ({ variant, runMsOne, runMsFull }));
  assert.deepEqual(times, [{ variant: 'lite', runMsOne: 1, runMsFull: 1 }]);
  const record = await openBucket<ModelRecord>(batcher.bus, MODELS).get('slow');
  const { variants, degradeTo, degradeOptOut } = record!;
  assert.deepEqual([variants, degradeTo, degradeOptOut], [[{ name: 'lite', quality: 0.5 }], ['lite'], true]);
  const batch = { ...slow(), variant: 'lite' };
  batcher.send(worker, batch);
  const [frame] = await inbox.wait(batch.batchId);
  assert.deepEqual([frame?.variant, frame?.items[0]?.errorCode], ['lite', '']);
});

test('a worker finds the batcher by its lease, says what it serves and asks for two batches a slot', async () => {
  await using batcher = await startBatcherPeer(nats.url, 'batcher-1');
  await using worker = await startWorker(nats.url, models.dir);
  const { hello, credits } = await batcher.worker('linear');
  assert.equal(hello?.instance, 'gpu-worker-1');
  const served = hello?.models.find(({ model }) => model === 'linear');
  assert.deepEqual(
    { versions: served?.versions, max: served?.maxBatchSize, slots: served?.slots },
    { versions: ['1'], max: 32, slots: 1 },
  );
  assert.ok((served?.runMsOne ?? 0) > 0 && (served?.runMsFull ?? 0) > 0, 'times of the warm-up');
  assert.deepEqual(hello?.models.map(({ model }) => model).sort(), ['linear', 'slow', 'spin'], 'not the broken one');
  await until('all credits', () => credits.size === 3);
  assert.deepEqual([...credits.values()], [2, 2, 2]);

  const leases = watchLeases(batcher.bus, 'gpu-worker', monotonicClock);
  await until('its lease', () => leases.list()[0]?.state === 'ready');
  assert.deepEqual(leases.list()[0], {
    service: 'gpu-worker',
    instance: 'gpu-worker-1',
    address: `127.0.0.1:${worker.grpc}`,
    state: 'ready',
    models: ['linear', 'slow', 'spin'].map((model) => ({ model, versions: ['1'] })),
  });
  leases.stop();
  const record = await openBucket<ModelRecord>(batcher.bus, MODELS).get('linear');
  assert.deepEqual(record, {
    model: 'linear',
    versions: ['1'],
    platform: 'onnxruntime_onnx',
    backend: 'onnxruntime',
    maxBatchSize: 32,
    inputs: [{ name: 'x', datatype: 'FP32', dims: [3] }],
    outputs: [{ name: 'y', datatype: 'FP32', dims: [2] }],
    defaultDeadlineMs: 5_000,
    maxDeadlineMs: 60_000,
    runLimitMs: 60_000,
    costRule: 'rows',
    provider: 'cpu',
  });
  assert.equal((await openBucket<ModelRecord>(batcher.bus, MODELS).get('slow'))?.provider, 'simulated');
  await worker.record(({ msg, model }) => msg === 'a model could not be loaded' && model === 'broken');
  const page = await (await fetch(`${worker.url}/metrics`)).text();
  assert.match(page, /spillway_model_loads_total\{.*model="broken".*outcome="failed".*\} 1/);
});

test('a batch is answered straight to each gateway’s inbox, then its credit comes back, in this order on the stream', async () => {
  await using other = await openInbox(nats.url, 'gateway-2');
  await using batcher = await startBatcherPeer(nats.url, 'batcher-1');
  await using worker = await startWorker(nats.url, models.dir);
  const stream = await batcher.worker('linear');
  const batch = makeBatch(
    'linear',
    [1, 2, 3].map((value) => [fp32('x', [1, 3], [value, 0, 0])]),
    { replyTo: [inbox.subject, other.subject] },
  );
  batch.items[1]!.replyTo = 1;
  await until('all credits', () => stream.credits.size === 3);
  const order: string[] = [];
  stream.stream.onMessage((message) => order.push(...Object.keys(message)));
  batcher.send(stream, batch);
  const [frame] = await inbox.wait(batch.batchId);
  const [second] = await other.wait(batch.batchId);
  assert.deepEqual(
    frame?.items.map(({ seq, queueMs }) => [seq, queueMs]),
    [
      [1, 1.5],
      [3, 1.5],
    ],
  );
  assert.deepEqual([...fp32Of(second?.items[0], 'y')], [2.5, 3.5]);
  const { worker: name, batchId, model, version, batchRows, closedBy } = frame!;
  assert.deepEqual(
    { name, batchId, model, version, batchRows, closedBy },
    { name: 'gpu-worker-1', batchId: batch.batchId, model: 'linear', version: '1', batchRows: 3, closedBy: 'idle' },
  );
  await until('the credit', () => stream.credits.get('linear') === 2);
  assert.deepEqual(order, ['done', 'credits']);
  const { runMs, ...done } = stream.done[0]!;
  assert.ok(runMs > 0);
  assert.deepEqual({ ...done }, { batchId: batch.batchId, model: 'linear', rows: 3, errorCode: '', notStarted: false });
  assert.match(
    await (await fetch(`${worker.url}/metrics`)).text(),
    /spillway_batch_size_rows_count\{.*model="linear".*\} 1/,
  );
});

test('a hung run is given up at the limit and left to the batcher, what waited behind it is not started, and credits come back with the executor', async () => {
  await using batcher = await startBatcherPeer(nats.url, 'batcher-1');
  await using worker = await startWorker(nats.url, models.dir);
  const stream = await batcher.worker('spin');
  await until('all credits', () => stream.credits.size === 3);
  const [hung, staged, elsewhere] = [hang(), linear(1), slow()];
  for (const batch of [hung, staged, elsewhere]) batcher.send(stream, batch);
  await until('all three ends', () => stream.done.length === 3);
  const lostRun = stream.done.find(({ batchId }) => batchId === hung.batchId);
  assert.deepEqual([lostRun?.lost, lostRun?.errorReason], [true, 'run_limit']);
  assert.deepEqual(inbox.of(hung.batchId), [], 'the batcher knows whether there is time to try again');
  const ends = new Map(stream.done.map((done) => [done.batchId, `${done.errorCode} ${done.notStarted}`]));
  assert.equal(ends.get(hung.batchId), 'BACKEND_FAILED false');
  assert.equal(ends.get(staged.batchId), 'UNAVAILABLE true');
  assert.equal(ends.get(elsewhere.batchId), ' false', 'a model with an executor of its own is not disturbed');
  assert.deepEqual(inbox.of(staged.batchId), [], 'nobody is answered for what did not start');
  await until('credits again', () => batcher.credits('spin') === 2 && batcher.credits('linear') === 2);
  const again = linear(5);
  batcher.send(await batcher.worker('linear'), again); // on another stream, if a lease was not heard for three seconds
  assert.deepEqual([...fp32Of(itemsOf(await inbox.wait(again.batchId))[0], 'y')], [5.5, 9.5]);
  const lost = await worker.record(({ msg }) => msg === 'an executor was lost and is replaced');
  assert.equal(lost['reason'], 'run_limit');
});

test('with two batchers one is home and gets the credits, the other is warm; when the home breaks the warm one gets them at once', async () => {
  await using first = await startBatcherPeer(nats.url, 'batcher-1');
  await using second = await startBatcherPeer(nats.url, 'batcher-2');
  await using worker = await startWorker(nats.url, models.dir);
  const stream = await first.worker('slow');
  await until('the warm stream', () => second.open().length === 1);
  assert.equal(second.credits('slow'), 0);
  const held = slow();
  first.send(stream, held);
  await until('the run', async () => (await fetch(`${worker.url}/readyz`)).ok);
  await first.vanish(); // its lease goes on: only its stream says so
  // Of the slow model one may still be held for the lost home.
  await until('credits at the warm one', () => second.credits('linear') === 2 && second.credits('slow') >= 1);
  const [frame] = await inbox.wait(held.batchId);
  assert.equal(frame?.items[0]?.errorCode, '', 'its gateway gets the answer all the same');
  await until('the credit of what was held', () => second.credits('slow') === 2);
});

test('an answer whose bus is away waits for its return', async () => {
  await using proxy = await FaultProxy.start({ targetPort: Number(new URL(nats.url).port) });
  await using batcher = await startBatcherPeer(nats.url, 'batcher-1');
  await using worker = await startWorker(`nats://127.0.0.1:${proxy.port}`, models.dir);
  const stream = await batcher.worker('linear');
  await proxy.set({ accept: 'closed' });
  await worker.record(({ msg }) => msg === 'bus down');
  const batch = linear(1);
  batcher.send(stream, batch);
  await until('its end', () => stream.done.some(({ batchId }) => batchId === batch.batchId));
  await proxy.heal();
  assert.deepEqual([...fp32Of(itemsOf(await inbox.wait(batch.batchId))[0], 'y')], [1.5, 1.5]);
});

test('a batcher that drains is left for another, after what it sent is done', async () => {
  await using first = await startBatcherPeer(nats.url, 'batcher-1');
  await using second = await startBatcherPeer(nats.url, 'batcher-2');
  await using _worker = await startWorker(nats.url, models.dir);
  const stream = await first.worker('slow');
  await until('the warm stream', () => second.open().length === 1);
  const held = slow();
  first.send(stream, held);
  first.drain();
  await until('goodbye', () => stream.goodbye);
  await until('credits at the other', () => second.credits('linear') === 2);
  await until('the end of what it sent', () => stream.done.some(({ batchId }) => batchId === held.batchId));
  await until('hung up', () => stream.closed);
  assert.equal(itemsOf(await inbox.wait(held.batchId))[0]?.errorCode, '');
});

test('two workers and two batchers: each batcher is home to one, whoever came first', async () => {
  await using second = await startBatcherPeer(nats.url, 'batcher-2');
  await using _one = await startWorker(nats.url, models.dir);
  await second.worker('linear');
  await using first = await startBatcherPeer(nats.url, 'batcher-1');
  await using _two = await startWorker(nats.url, models.dir, { SPILLWAY_INSTANCE: 'gpu-worker-2' });
  const homeOf = (batcher: typeof first) =>
    batcher
      .open()
      .filter((worker) => (worker.credits.get('linear') ?? 0) > 0)
      .map((worker) => worker.hello?.instance);
  await until(
    'an even share',
    () => homeOf(first).join() === 'gpu-worker-1' && homeOf(second).join() === 'gpu-worker-2',
  );
  await until('both warm', () => first.open().length === 2 && second.open().length === 2);
});

test('SIGTERM: goodbye, every accepted batch is answered, exit 0, no executor left', async () => {
  await using batcher = await startBatcherPeer(nats.url, 'batcher-1');
  await using worker = await startWorker(nats.url, models.dir, { GPU_WORKER_DRAIN_TIMEOUT_MS: '60000' });
  const stream = await batcher.worker('slow');
  await until('all credits', () => stream.credits.size === 3);
  const pids = (await worker.record(({ msg }) => msg === 'models are loaded'))['executors'] as number[];
  const [, ownOfSlow] = pids as [number, number];
  const batches = [slow(), slow(), linear(1), linear(2)];
  using executor = suspend(ownOfSlow); // what it has is not over before the goodbye is read
  for (const batch of batches) batcher.send(stream, batch);
  await inbox.wait(batches[3]!.batchId); // so those sent before have been read too
  const ended = worker.kill('SIGTERM');
  await until('goodbye', () => stream.goodbye);
  const late = linear(3); // it crossed the goodbye on its way
  batcher.send(stream, late);
  await inbox.wait(late.batchId);
  executor.resume();
  await ended;
  assert.equal(worker.end, 0, worker.tail());
  for (const { batchId } of [...batches, late]) {
    assert.equal(itemsOf(await inbox.wait(batchId))[0]?.errorCode, '', batchId);
    assert.ok(
      stream.done.some((done) => done.batchId === batchId),
      batchId,
    );
  }
  assert.ok(pids.length > 0 && pids.every((pid) => !isAlive(pid)));
});

test('a restart of NATS: the worker is back by itself, lease and catalogue included', async () => {
  await using own = await startNatsServer();
  await using worker = await startWorker(own.url, models.dir);
  await own.kill();
  await own.restart();
  await using batcher = await startBatcherPeer(own.url, 'batcher-1');
  const stream = await batcher.worker('linear');
  await using gateway = await openInbox(own.url);
  const batch = linear(4, { replyTo: [gateway.subject] });
  batcher.send(stream, batch);
  assert.deepEqual([...fp32Of(itemsOf(await gateway.wait(batch.batchId))[0], 'y')], [4.5, 7.5]);
  const bucket = openBucket<ModelRecord>(batcher.bus, MODELS);
  await bucket.delete('linear');
  await own.restart();
  await until('the entry again', async () => (await bucket.get('linear').catch(() => undefined)) !== undefined);
  assert.equal(worker.running, true);
});

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
