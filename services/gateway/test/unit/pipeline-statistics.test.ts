import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { statisticsAnswer } from '../../src/core/statistics-answer.ts';
import { encodeTensors } from '../../src/core/tensor-codec.ts';
import { fp32 } from './fixtures.ts';
import { cached, reply, setUp } from './pipeline-world.ts';

type World = ReturnType<typeof setUp>;

const seqOf = ({ pipeline }: World): number => pipeline.flush()[0]?.items[0]?.seq as number;
const countsOf = ({ statistics }: World) => {
  const { inference_stats, inference_count } = statisticsAnswer('mlp', '2', statistics.totals(0));
  const { success, fail, queue, cache_hit, cache_miss } = inference_stats;
  return { rows: inference_count, success, fail, queue, cache_hit, cache_miss };
};
const NONE = { count: 0, ns: 0 };

test('an answer counts from receipt to answer, once, however often it comes', () => {
  const world = setUp();
  world.submit();
  const seq = seqOf(world);
  world.clock.advance(8);
  world.pipeline.onReply(reply(seq));
  world.pipeline.onReply(reply(seq));
  const { rows, success, queue, fail } = countsOf(world);
  assert.deepEqual([rows, success, queue, fail], [1, { count: 1, ns: 8e6 }, { count: 1, ns: 1e6 }, NONE]);
});

test('each way of ending without an answer counts once as failed', () => {
  const world = setUp();
  const { clock, pipeline, submit } = world;
  submit();
  pipeline.onReply(reply(seqOf(world), { errorCode: 'BACKEND_FAILED' }));
  const giveUp = submit();
  const given = seqOf(world);
  giveUp();
  giveUp();
  pipeline.onReply(reply(given));
  submit({ budgetMs: 10 });
  clock.advance(10);
  pipeline.expire();
  submit();
  pipeline.failAll(new SpillwayError('UNAVAILABLE', 'away'));
  const { fail, success, rows } = countsOf(world);
  assert.deepEqual([fail, success, rows], [{ count: 4, ns: 10e6 }, NONE, 0]);
});

test('what admission refuses, and what is refused before, is in no statistics', () => {
  const world = setUp();
  world.outside.decision = { rung: 'refused', code: 'OVERLOADED', reason: 'predicted_finish' };
  world.submit();
  world.submit({ inputs: [] });
  assert.deepEqual(world.statistics.totals(0), []);
});

test('look-ups count with the time they took, hits also as answers', () => {
  const world = setUp(cached);
  const { clock, outside, submit } = world;
  submit();
  clock.advance(2);
  outside.cacheAnswers[0]?.(undefined);
  submit();
  clock.advance(3);
  outside.cacheAnswers[1]?.(encodeTensors([fp32('y', [1, 1], [1])]));
  submit({ noCache: true });
  const { cache_hit, cache_miss, success, rows } = countsOf(world);
  assert.deepEqual(
    [cache_miss, cache_hit],
    [
      { count: 1, ns: 2e6 },
      { count: 1, ns: 3e6 },
    ],
  );
  assert.deepEqual([success, rows], [{ count: 1, ns: 3e6 }, 0]);
});
