import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ReplyItem, replyFrameCodec } from '@spillway/contracts/messages';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import type { Backend, RunTensor } from '../../src/core/backend.ts';
import type { BatchResult, RunBatch, RunItem } from '../../src/core/executor-messages.ts';
import { ModelRunner } from '../../src/core/model-runner.ts';
import type { ServedGraph } from '../../src/core/served-graph.ts';
import { decodeFp32, encode, fp32 } from '../support/tensors.ts';

const x = { name: 'x', datatype: 'FP32' as const, dims: [-1] };
const y = { name: 'y', datatype: 'FP32' as const, dims: [-1] };
const GRAPH: ServedGraph = { maxBatchSize: 4, inputs: [x], outputs: [y], requestInputs: [x], feeds: [x], fetches: [y] };

/** Doubles its input in 5 ms of the clock; a 13 in it makes the whole run fail. */
function doubling(graph = GRAPH) {
  const clock = new ManualClock();
  const shapes: number[][] = [];
  const backend: Backend = {
    provider: 'cpu',
    run: async ([input]) => {
      const { shape, data } = input as RunTensor;
      shapes.push(shape);
      clock.advance(5);
      const values = data as Float32Array;
      if (values.includes(13)) throw new Error('/build/source.cc:12 thirteen');
      return [{ name: 'y', datatype: 'FP32', shape, data: values.map((value) => value * 2) }];
    },
  };
  return { runner: new ModelRunner({ worker: 'w', model: 'm', version: '1', graph, backend, clock }), shapes };
}

const item = (seq: number, values: readonly number[], over: Partial<RunItem> = {}): RunItem => ({
  seq,
  replyTo: 0,
  rows: 1,
  budgetMs: 1_000,
  queueMs: seq,
  tensors: encode(fp32('x', [1, values.length], values)),
  ...over,
});
const batch = (...items: RunItem[]): RunBatch => ({
  batchId: 'b1',
  model: 'm',
  version: '1',
  variant: '',
  closedBy: 'size',
  rows: items.length,
  replyTo: ['inbox'],
  items,
});
const replies = (result: BatchResult): ReplyItem[] =>
  result.replies.flatMap(({ frame }) => replyFrameCodec.decode(frame).items);
const told = (result: BatchResult) => replies(result).map((reply) => reply.errorCode || decodeFp32(reply.tensors)['y']);

test('the requests of a batch run together and each gets its own rows', async () => {
  const { runner, shapes } = doubling();
  const result = await runner.run(batch(item(1, [1]), item(2, [2]), item(3, [3])), 0);
  assert.deepEqual(told(result), [[2], [4], [6]]);
  assert.deepEqual(shapes, [[3, 1]]);
  assert.equal(result.runMs, 5);
  assert.deepEqual(
    replies(result).map(({ seq, queueMs }) => [seq, queueMs]),
    [
      [1, 1],
      [2, 2],
      [3, 3],
    ],
  );
});

test('a request with wrong bytes fails alone, before the run', async () => {
  const { runner, shapes } = doubling();
  const broken = item(2, [2], { tensors: encode(fp32('x', [1, 2], [2])) });
  const result = await runner.run(batch(item(1, [1]), broken, item(3, [3])), 0);
  assert.deepEqual(told(result), [[2], 'INVALID_REQUEST', [6]]);
  assert.deepEqual(shapes, [[2, 1]]);
  assert.equal(result.failed, 1);
});

test('a request that makes the run fail is found and fails alone, without the runtime’s words', async () => {
  const { runner } = doubling();
  const result = await runner.run(batch(item(1, [1]), item(2, [13]), item(3, [3])), 0);
  assert.deepEqual(told(result), [[2], 'BACKEND_FAILED', [6]]);
  const bad = replies(result)[1];
  assert.equal(bad?.errorReason, 'run_failed');
  assert.doesNotMatch(bad?.errorMessage ?? '', /build|thirteen/);
  assert.match(result.fault, /thirteen/, 'they are for the log');
});

test('requests of different shapes, and more rows than a batch, run apart and are all answered', async () => {
  const { runner, shapes } = doubling();
  const items = [item(1, [1]), item(2, [2, 2]), item(3, [3]), item(4, [4]), item(5, [5]), item(6, [6])];
  const result = await runner.run(batch(...items), 0);
  assert.deepEqual(told(result), [[2], [4, 4], [6], [8], [10], [12]]);
  assert.deepEqual(shapes, [
    [4, 1],
    [1, 2],
    [1, 1],
  ]);
  assert.equal(result.runs, 3);
});

test('a request whose budget is over is not run; a job waits as long as it must', async () => {
  const { runner, shapes } = doubling();
  const job = { tenant: 't', job: 'j', ackSubject: 'ack', originSubject: '', traceparent: '' };
  const result = await runner.run(
    batch(item(1, [1], { budgetMs: 40 }), item(2, [2]), item(3, [3], { budgetMs: 40, job })),
    50,
  );
  assert.deepEqual(told(result), ['DEADLINE_EXCEEDED', [4]]);
  assert.deepEqual(shapes, [[2, 1]]);
  assert.equal(JSON.parse(Buffer.from(result.jobs[0]?.payload ?? []).toString()).outputs[0].data[0], 6);
});

test('a job’s failure is its result, not a reply', async () => {
  const { runner } = doubling();
  const job = { tenant: 't', job: 'j', ackSubject: 'ack', originSubject: '', traceparent: '' };
  const result = await runner.run(batch(item(1, [13], { job })), 0);
  assert.deepEqual(result.replies, []);
  assert.equal(result.jobs[0]?.errorCode, 'BACKEND_FAILED');
});

test('a model that does not batch runs each request by itself', async () => {
  const { runner, shapes } = doubling({ ...GRAPH, maxBatchSize: 0, requestInputs: [{ ...x, dims: [1, -1] }] });
  const result = await runner.run(batch(item(1, [1]), item(2, [2])), 0);
  assert.deepEqual(told(result), [[2], [4]]);
  assert.deepEqual(shapes, [
    [1, 1],
    [1, 1],
  ]);
});

test('the buffer of one run does not leak into the next', async () => {
  const { runner } = doubling();
  await runner.run(batch(item(1, [9]), item(2, [9]), item(3, [9])), 0);
  assert.deepEqual(told(await runner.run(batch(item(4, [1])), 0)), [[2]]);
});
