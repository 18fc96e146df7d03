import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Pipeline, Prepared } from '../../src/core/pipeline.ts';
import type { Answer } from '../../src/core/request.ts';
import { decodeTensors, encodeTensors } from '../../src/core/tensor-codec.ts';
import { fp32, mlp, request } from './fixtures.ts';
import { byId, cached, codes, joined, reply, rows, setUp } from './pipeline-world.ts';

test('a request becomes one item of a frame and is answered once', () => {
  const { pipeline, ends, submit, outside } = setUp();
  submit();
  submit();
  assert.equal(outside.flushes, 1, 'one flush a turn');
  const [frame] = pipeline.flush();
  assert.equal(frame?.items.length, 2);
  const seq = frame?.items[0]?.seq as number;
  pipeline.onReply(reply(seq));
  pipeline.onReply(reply(seq));
  assert.deepEqual(codes(ends), ['OK']);
  assert.equal((ends[0] as Answer).receipt.version, '2');
  assert.equal(pipeline.inFlight, 1);
});

test('the deadline is answered by the gateway, and a late answer is ignored', () => {
  const { clock, pipeline, ends, submit } = setUp();
  submit({ budgetMs: 40 });
  const seq = pipeline.flush()[0]?.items[0]?.seq as number;
  clock.advance(39);
  assert.equal(pipeline.expire(), 0);
  clock.advance(1);
  assert.equal(pipeline.expire(), 1);
  pipeline.onReply(reply(seq));
  assert.deepEqual(codes(ends), ['DEADLINE_EXCEEDED']);
});

test('the item carries what is left of the budget', () => {
  const { clock, pipeline } = setUp();
  const received = clock.now();
  clock.advance(10);
  pipeline.submit(request({ receivedAtMs: received, budgetMs: 100 }), { answered: () => {}, failed: () => {} });
  assert.equal(pipeline.flush()[0]?.items[0]?.budgetMs, 90);
});

test('a budget already spent, an unknown model and a bad input are refused at once', () => {
  const { ends, submit, pipeline } = setUp();
  submit({ budgetMs: 0 });
  submit({ model: 'nope' });
  submit({ inputs: [] });
  assert.deepEqual(codes(ends), ['DEADLINE_EXCEEDED', 'MODEL_NOT_FOUND', 'INVALID_REQUEST']);
  assert.deepEqual(pipeline.flush(), []);
});

test('more requests than the gateway may hold are refused with a hint', () => {
  const { ends, submit } = setUp(mlp, { maxInFlight: 1, maxFrameBytes: 65_536 });
  submit();
  submit();
  const [error] = ends as [SpillwayError];
  assert.deepEqual([error.code, error.reason, error.retryAfterMs], ['OVERLOADED', 'in_flight', 1_000]);
});

test('a caller that leaves is told nothing, and its work is cancelled if it was sent', () => {
  const { pipeline, ends, submit, outside } = setUp();
  const giveUp = submit();
  const seq = pipeline.flush()[0]?.items[0]?.seq as number;
  giveUp();
  giveUp();
  pipeline.onReply(reply(seq));
  assert.deepEqual(outside.cancelled, [seq]);
  assert.deepEqual(ends, []);
});

test("a worker's error reaches the caller with its code", () => {
  const { pipeline, ends, submit } = setUp();
  submit();
  const seq = pipeline.flush()[0]?.items[0]?.seq as number;
  pipeline.onReply(
    reply(seq, { errorCode: 'BACKEND_FAILED', errorMessage: 'the run failed', errorReason: 'run_limit' }),
  );
  const [error] = ends as [SpillwayError];
  assert.deepEqual([error.code, error.reason], ['BACKEND_FAILED', 'run_limit']);
});

test('while the bus is away everything fails at once', () => {
  const { pipeline, ends, submit } = setUp();
  submit();
  const away = new SpillwayError('UNAVAILABLE', 'away', { reason: 'bus' });
  pipeline.refuse(away);
  pipeline.failAll(away);
  submit();
  assert.deepEqual(codes(ends), ['UNAVAILABLE', 'UNAVAILABLE']);
});

test('a cache hit answers without a frame; a miss goes on and its answer is kept', () => {
  const { pipeline, ends, submit, outside } = setUp(cached);
  submit();
  outside.cacheAnswers[0]?.(encodeTensors([fp32('y', [1, 1], [0.25])]));
  assert.equal((ends[0] as Answer).receipt.cache, 'hit');
  assert.deepEqual(pipeline.flush(), []);
  submit();
  outside.cacheAnswers[1]?.(undefined);
  const seq = pipeline.flush()[0]?.items[0]?.seq as number;
  pipeline.onReply(reply(seq));
  assert.equal((ends[1] as Answer).receipt.cache, 'miss');
  assert.equal(outside.puts.length, 1);
});

test('no-cache does not read and still writes; no-store reads and does not write', () => {
  const { pipeline, submit, outside } = setUp(cached);
  submit({ noCache: true });
  assert.equal(outside.cacheAnswers.length, 0);
  pipeline.onReply(reply(pipeline.flush()[0]?.items[0]?.seq as number));
  assert.equal(outside.puts.length, 1);
  submit({ noStore: true });
  outside.cacheAnswers[0]?.(undefined);
  pipeline.onReply(reply(pipeline.flush()[0]?.items[0]?.seq as number));
  assert.equal(outside.puts.length, 1);
});

test('features take the place of the entity, and cache and features run side by side', () => {
  const { pipeline, submit, outside } = setUp(joined);
  submit(byId);
  assert.deepEqual([outside.cacheAnswers.length, outside.featureAnswers.length], [1, 1]);
  outside.featureAnswers[0]?.(rows(0));
  assert.deepEqual(pipeline.flush(), [], 'the cache has not answered');
  outside.cacheAnswers[0]?.(undefined);
  const item = pipeline.flush()[0]?.items[0];
  assert.deepEqual(
    decodeTensors(item?.tensors as Uint8Array).map(({ name, shape }) => [name, shape]),
    [['p', [1, 2]]],
  );
});

test('an answer made with defaults says so and is not kept', () => {
  const { pipeline, ends, submit, outside } = setUp(joined);
  submit(byId);
  outside.cacheAnswers[0]?.(undefined);
  outside.featureAnswers[0]?.(rows(3));
  pipeline.onReply(reply(pipeline.flush()[0]?.items[0]?.seq as number));
  assert.equal((ends[0] as Answer).receipt.degraded, 'features');
  assert.equal(outside.puts.length, 0);
});

test('features that come after the cache hit change nothing', () => {
  const { pipeline, ends, submit, outside } = setUp(joined);
  submit(byId);
  outside.cacheAnswers[0]?.(encodeTensors([fp32('y', [1, 1], [0.25])]));
  outside.featureAnswers[0]?.(rows(0));
  assert.deepEqual(codes(ends), ['OK']);
  assert.deepEqual(pipeline.flush(), []);
});

const prepare = (pipeline: Pipeline, over: object) => {
  const ends: (Prepared | SpillwayError)[] = [];
  const handover = {
    ready: (prepared: Prepared) => ends.push(prepared),
    failed: (error: SpillwayError) => ends.push(error),
  };
  pipeline.prepare(request(over), handover);
  return ends;
};

test('a prepared request is handed over with its features joined, without the cache, and is not pending any more', () => {
  const { pipeline, outside } = setUp(joined);
  const ends = prepare(pipeline, byId);
  assert.deepEqual([ends.length, pipeline.inFlight, outside.cacheAnswers.length], [0, 1, 0]);
  outside.featureAnswers[0]?.(rows(0));
  const [{ item, route }] = ends as [Prepared];
  assert.deepEqual(
    decodeTensors(item.tensors).map(({ name, shape }) => [name, shape]),
    [['p', [1, 2]]],
  );
  assert.deepEqual([route.version, item.rows, item.route], ['2', 1, 0]);
  assert.deepEqual([pipeline.inFlight, pipeline.flush(), outside.flushes], [0, [], 0]);
});

test('a prepared request says whether defaults stand in for its features', () => {
  const degradedBy = (status: number) => {
    const { pipeline, outside } = setUp(joined);
    const ends = prepare(pipeline, byId);
    outside.featureAnswers[0]?.(rows(status));
    return (ends[0] as Prepared).degraded;
  };
  assert.deepEqual([0, 3].map(degradedBy), ['', 'features']); // present, default
});

test('a request that cannot be prepared fails once: at once, by its deadline, or with its features', () => {
  const { pipeline, outside, clock } = setUp(joined);
  assert.equal((prepare(pipeline, { inputs: [] })[0] as SpillwayError).code, 'INVALID_REQUEST');
  const late = prepare(pipeline, { ...byId, budgetMs: 40 });
  clock.advance(40);
  pipeline.expire();
  outside.featureAnswers[0]?.(rows(0));
  assert.deepEqual(
    late.map((end) => (end as SpillwayError).code),
    ['DEADLINE_EXCEEDED'],
  );
  const failed = prepare(pipeline, { ...byId, receivedAtMs: clock.now() });
  outside.featureAnswers[1]?.(new SpillwayError('INVALID_REQUEST', 'entities[0]: expected a name'));
  assert.deepEqual(
    failed.map((end) => (end as SpillwayError).code),
    ['INVALID_REQUEST'],
  );
});
