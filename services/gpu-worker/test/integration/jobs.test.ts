import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type PulledMessage, PullSource } from '@spillway/bus/pull';
import type { Batch, BatchDone, Job } from '@spillway/contracts/messages';
import { jobsConsumer } from '@spillway/contracts/streams';
import { dlqSubject, jobsSubject, resultSubject } from '@spillway/contracts/subjects';
import { startNatsServer, type TestServer } from '@spillway/testing/nats-server';
import { until } from '@spillway/testing/until';
import { type BatcherPeer, startBatcherPeer, type WorkerStream } from '../support/batcher-peer.ts';
import { makeBatch } from '../support/batches.ts';
import { makeRepository } from '../support/fixtures.ts';
import { fp32, int64, type TestTensor } from '../support/tensors.ts';
import { startWorker } from '../support/worker.ts';

const TENANT = 'anonymous';
const ORIGIN = 'spillway.v1.events.anonymous.infer.linear';
const ACK_WAIT_MS = 60_000; // nothing comes again by itself within a test

let nats: TestServer;
let models: Awaited<ReturnType<typeof makeRepository>>;
let worker: Awaited<ReturnType<typeof startWorker>>;
let batcher: BatcherPeer;

before(async () => {
  nats = await startNatsServer();
  models = await makeRepository({ linear: { graph: 'linear' }, spin: { graph: 'spin', yaml: 'run_limit_ms: 300' } });
  batcher = await startBatcherPeer(nats.url, 'batcher-1');
  worker = await startWorker(nats.url, models.dir);
});
after(async () => {
  await worker[Symbol.asyncDispose]();
  await batcher[Symbol.asyncDispose]();
  await models[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});

type Stored = { payload: Record<string, unknown>; text: string; header(name: string): string | undefined };

const readStored = (text: string, header: Stored['header']): Stored => ({
  payload: text.startsWith('{') ? JSON.parse(text) : {},
  text,
  header,
});

/** Publishes a job, pulls it as a batcher does, and keeps what is stored for it. */
async function submit(model: string, job: string) {
  const stored: Stored[] = [];
  const dead: Stored[] = [];
  const keep = (into: Stored[]) => (message: { payload: Uint8Array; header(name: string): string | undefined }) =>
    into.push(readStored(Buffer.from(message.payload).toString(), (name) => message.header(name)));
  batcher.bus.subscribe(resultSubject(TENANT, job), keep(stored));
  batcher.bus.subscribe('spillway.v1.dlq.>', keep(dead));
  const deliveries: PulledMessage[] = [];
  const spec = jobsConsumer('bulk', model, ACK_WAIT_MS);
  const keepDelivery = (message: PulledMessage): number => deliveries.push(message);
  const source: PullSource = new PullSource(batcher.bus, spec, keepDelivery, () => source.request(1));
  source.start();
  await batcher.bus.publishToStream(jobsSubject('bulk', model), Buffer.from('job'), { msgId: `${TENANT}.${job}` });
  await until('the job', () => deliveries.length > 0);
  return { stored, dead, deliveries, source };
}

function jobBatch(
  model: string,
  tensors: TestTensor[],
  job: string,
  ackSubject: string,
  more: Partial<Job> = {},
): Batch {
  const batch = makeBatch(model, [tensors], { replyTo: [], trafficClass: 'bulk' });
  batch.items[0]!.job = { tenant: TENANT, job, ackSubject, originSubject: ORIGIN, traceparent: '', ...more };
  return batch;
}

async function run(stream: WorkerStream, batch: Batch): Promise<void> {
  batcher.send(stream, batch);
  await until('the end of the batch', () => stream.done.some((done) => done.batchId === batch.batchId));
}

const outputsOf = (stored: readonly Stored[]): { data: number[] }[] =>
  (stored[0]?.payload['outputs'] ?? []) as { data: number[] }[];

/** What a consumer still holds unacknowledged, and what waits in its stream. */
async function unacknowledged(model: string): Promise<number> {
  const inbox = batcher.bus.inbox();
  const answer = Promise.withResolvers<number>();
  const sub = batcher.bus.subscribe(inbox, ({ payload }) => {
    const info = JSON.parse(Buffer.from(payload).toString()) as { num_ack_pending: number; num_pending: number };
    answer.resolve(info.num_ack_pending + info.num_pending);
  });
  const { stream, durable } = jobsConsumer('bulk', model, ACK_WAIT_MS);
  batcher.bus.publish(`$JS.API.CONSUMER.INFO.${stream}.${durable}`, Buffer.alloc(0), { reply: inbox });
  const count = await answer.promise;
  sub.stop();
  return count;
}

test('a job’s result is stored as JSON, then the job is acknowledged; a second run changes nothing', async () => {
  const stream = await batcher.worker('linear');
  const { stored, deliveries, source } = await submit('linear', 'job-1');
  const ackSubject = deliveries[0]?.ackSubject ?? '';
  await run(stream, jobBatch('linear', [fp32('x', [1, 3], [1, 0, 0])], 'job-1', ackSubject));
  await until('the result', () => stored.length === 1);
  assert.deepEqual(stored[0]?.payload, {
    model_name: 'linear',
    model_version: '1',
    id: 'job-1',
    outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 2], data: [1.5, 1.5] }],
  });
  const receipt = [
    'spillway-rung',
    'spillway-model-version',
    'spillway-cache',
    'spillway-batch-size',
    'spillway-attempts',
  ];
  assert.deepEqual(receipt.map(stored[0]?.header ?? (() => '')).slice(1), ['1', 'bypass', '1', undefined]);
  await until('the acknowledgement', async () => (await unacknowledged('linear')) === 0);
  await run(stream, jobBatch('linear', [fp32('x', [1, 3], [9, 9, 9])], 'job-1', ackSubject));
  await until('the outcome', async () =>
    /spillway_jobs_ended_total\{.*outcome="already_stored".*\} 1/.test(
      await (await fetch(`${worker.url}/metrics`)).text(),
    ),
  );
  await source.stop();
});

test('a job with an invalid request ends with an error as its result and a copy among the dead letters', async () => {
  const stream = await batcher.worker('linear');
  const { stored, dead, deliveries, source } = await submit('linear', 'job-2');
  await run(stream, jobBatch('linear', [fp32('x', [1, 2], [1, 2])], 'job-2', deliveries[0]?.ackSubject ?? ''));
  await until('the result and its copy', () => stored.length === 1 && dead.length === 1);
  const message = 'input "x": expected shape [-1,3], got [1,2]';
  assert.deepEqual(stored[0]?.payload, { error: { code: 'INVALID_REQUEST', message, reason: '' } });
  assert.equal(stored[0]?.header('Nats-Service-Error-Code'), '400');
  assert.equal(dead[0]?.header('spillway-error'), 'INVALID_REQUEST');
  assert.equal(dead[0]?.header('spillway-origin-subject'), ORIGIN);
  assert.equal(dead[0]?.header('spillway-job'), 'job-2');
  assert.deepEqual([dead[0]?.header('spillway-letter'), dead[0]?.text], ['job', 'job'], 'as it was published');
  await until('the end of the job', async () => (await unacknowledged('linear')) === 0);
  assert.equal(dlqSubject('INVALID_REQUEST'), 'spillway.v1.dlq.INVALID_REQUEST');
  await source.stop();
});

test('a job whose run is killed is handed back and delivered again, not stored', async () => {
  const stream = await batcher.worker('spin');
  const { stored, deliveries, source } = await submit('spin', 'job-3');
  await run(stream, jobBatch('spin', [int64('n', [1, 1], [1e12])], 'job-3', deliveries[0]?.ackSubject ?? ''));
  source.request(1);
  await until('the second delivery', () => deliveries.length === 2);
  assert.equal(deliveries[1]?.deliveries, 2);
  assert.deepEqual(stored, []);
  // On a crowded machine a short run may be over the limit too: then there is another delivery. What was not started keeps its own.
  for (let last = 1; stored.length === 0; ) {
    await until('the next delivery', () => deliveries.length > last);
    const again = await batcher.worker('spin');
    await run(again, jobBatch('spin', [int64('n', [1, 1], [3])], 'job-3', deliveries[last]?.ackSubject ?? ''));
    const { errorCode, notStarted } = again.done.at(-1) as BatchDone;
    if (errorCode === '') await until('the result', () => stored.length === 1);
    else if (!notStarted) {
      last += 1;
      source.request(1);
    }
  }
  assert.deepEqual(outputsOf(stored)[0]?.data, [3]);
  await source.stop();
});

test('jobs and synchronous requests share a batch; each gets its answer its own way', async () => {
  const stream = await batcher.worker('linear');
  const { stored, deliveries, source } = await submit('linear', 'job-4');
  const frames: number[] = [];
  const inbox = batcher.bus.inbox();
  batcher.bus.subscribe(inbox, ({ payload }) => frames.push(payload.length));
  const batch = makeBatch('linear', [[fp32('x', [1, 3], [1, 0, 0])], [fp32('x', [1, 3], [2, 0, 0])]], {
    replyTo: [inbox],
  });
  batch.items[1]!.job = {
    tenant: TENANT,
    job: 'job-4',
    ackSubject: deliveries[0]?.ackSubject ?? '',
    originSubject: ORIGIN,
    traceparent: '',
  };
  await run(stream, batch);
  await until('both', () => stored.length === 1 && frames.length === 1);
  await source.stop();
});

test('the result of a CloudEvent is one, and is published once more where its publisher wants it', async () => {
  const stream = await batcher.worker('linear');
  const { stored, deliveries, source } = await submit('linear', 'job-5');
  const replies: Stored[] = [];
  const replyTo = '_INBOX.somebody.1';
  batcher.bus.subscribe(replyTo, (message) => {
    replies.push(readStored(Buffer.from(message.payload).toString(), (name) => message.header(name)));
  });
  const ackSubject = deliveries[0]?.ackSubject ?? '';
  const more = {
    replyTo,
    event: { mode: 'binary', id: 'order 7', correlationId: '' },
    requestId: 'r-7',
    trafficClass: 'bulk',
  };
  await run(stream, jobBatch('linear', [fp32('x', [1, 3], [1, 0, 0])], 'job-5', ackSubject, more));
  await until('both', () => stored.length === 1 && replies.length === 1);
  for (const { header, payload } of [stored[0]!, replies[0]!]) {
    assert.deepEqual(
      ['ce-id', 'ce-type', 'ce-source', 'ce-causationid', 'x-request-id', 'spillway-class'].map(header),
      ['job-5', 'spillway.infer.completed.v1', '/spillway/linear', 'order%207', 'r-7', 'bulk'],
    );
    assert.equal(payload['id'], 'job-5');
  }
  await run(stream, jobBatch('linear', [fp32('x', [1, 3], [9, 9, 9])], 'job-5', ackSubject, more));
  await until('the second reply', () => replies.length === 2);
  assert.equal(replies[1]?.text, stored[0]?.text, 'what is stored is the truth, whatever ran again');
  await source.stop();
});
