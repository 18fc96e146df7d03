import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gatewayStatisticsCodec, type VersionTotals } from '@spillway/contracts/messages';
import { ModelStatistics } from '../../src/core/model-statistics.ts';
import { statisticsAnswer } from '../../src/core/statistics-answer.ts';

const entry = (over: object = {}) => ({
  model: { model: 'mlp' } as never,
  version: '2',
  rows: 1,
  request: { receivedAtMs: 100 },
  askedAtMs: 101,
  admitted: true,
  sentAtMs: 102,
  ...over,
});
const answerOf = (...counted: ModelStatistics[]) =>
  statisticsAnswer(
    'mlp',
    '2',
    counted.flatMap((one) => one.totals(1_000_000)),
  );
/** Over the wire and back, as another gateway hears it. */
const heard = (versions: VersionTotals[]): VersionTotals[] =>
  gatewayStatisticsCodec.decode(gatewayStatisticsCodec.encode({ gateway: 'gw', versions })).versions;

const NONE = { count: 0, ns: 0 };

test('a request that ran counts its rows, its waiting and the whole time of its batch', () => {
  const counted = new ModelStatistics();
  counted.ran(entry({ rows: 3 }), { batchRows: 4, runMs: 2 }, 5, 110);
  counted.ran(entry({ rows: 1 }), { batchRows: 4, runMs: 2 }, 6, 111);
  assert.deepEqual(answerOf(counted), {
    name: 'mlp',
    version: '2',
    last_inference: 1_000_111,
    inference_count: 4,
    execution_count: 1,
    inference_stats: {
      success: { count: 2, ns: 21e6 },
      fail: NONE,
      queue: { count: 2, ns: 11e6 },
      compute_input: { count: 2, ns: 0 },
      compute_infer: { count: 2, ns: 4e6 },
      compute_output: { count: 2, ns: 0 },
      cache_hit: NONE,
      cache_miss: NONE,
    },
    response_stats: {},
    batch_stats: [
      {
        batch_size: 4,
        compute_input: { count: 1, ns: 0 },
        compute_infer: { count: 1, ns: 2e6 },
        compute_output: { count: 1, ns: 0 },
      },
    ],
    memory_usage: [],
  });
});

test('a batch that three gateways share is one run, rounded only in the sum', () => {
  const gateways = [2, 2, 3].map((rows) => {
    const counted = new ModelStatistics();
    counted.ran(entry({ rows }), { batchRows: 7, runMs: 7 }, 0, 110);
    return counted;
  });
  const { inference_count, execution_count, batch_stats } = answerOf(...gateways);
  assert.deepEqual([inference_count, execution_count], [7, 1]);
  assert.deepEqual(
    batch_stats.map(({ batch_size, compute_infer }) => [batch_size, compute_infer]),
    [[7, { count: 1, ns: 7e6 }]],
  );
  const over = gateways.flatMap((one) => heard(one.totals(0)));
  assert.equal(statisticsAnswer('mlp', '2', over).execution_count, 1, 'also when heard from others');
});

test('a cache hit is a success and stands in the queue count, and neither a row nor a run', () => {
  const counted = new ModelStatistics();
  counted.hit(entry(), 103);
  counted.missed(entry(), 105);
  const { inference_count, execution_count, inference_stats, batch_stats, last_inference } = answerOf(counted);
  assert.deepEqual([inference_count, execution_count, batch_stats, last_inference], [0, 0, [], 1_000_103]);
  assert.deepEqual(
    [inference_stats.success, inference_stats.queue, inference_stats.cache_hit, inference_stats.cache_miss],
    [
      { count: 1, ns: 3e6 },
      { count: 1, ns: 0 },
      { count: 1, ns: 2e6 },
      { count: 1, ns: 4e6 },
    ],
  );
  assert.deepEqual(inference_stats.compute_infer, NONE);
});

test('a failure counts what it waited: as the worker says, else since it was sent; a refusal counts nothing', () => {
  const counted = new ModelStatistics();
  counted.failed(entry(), 110, 1);
  counted.failed(entry(), 110);
  counted.failed(entry({ sentAtMs: 0 }), 110);
  counted.failed(entry({ admitted: false }), 110);
  const { inference_stats, inference_count, last_inference } = answerOf(counted);
  assert.deepEqual(
    [inference_stats.fail, inference_stats.queue, inference_stats.success],
    [{ count: 3, ns: 30e6 }, { count: 2, ns: 9e6 }, NONE],
  );
  assert.deepEqual([inference_count, last_inference], [0, 0]);
});

test('versions and models are counted apart', () => {
  const counted = new ModelStatistics();
  counted.ran(entry({ version: '1' }), { batchRows: 1, runMs: 1 }, 0, 110);
  counted.ran(entry(), { batchRows: 2, runMs: 1 }, 0, 110);
  counted.ran(entry({ model: { model: 'slow' } }), { batchRows: 3, runMs: 1 }, 0, 110);
  assert.deepEqual(
    counted.totals(0).map(({ model, version, batches }) => [model, version, batches.map(({ rows }) => rows)]),
    [
      ['mlp', '1', [1]],
      ['mlp', '2', [2]],
      ['slow', '2', [3]],
    ],
  );
});

test('a version that nobody asked yet has all its members, at zero', () => {
  const { inference_stats, ...rest } = statisticsAnswer('mlp', '1', []);
  assert.deepEqual(Object.keys(inference_stats), [
    'success',
    'fail',
    'queue',
    'compute_input',
    'compute_infer',
    'compute_output',
    'cache_hit',
    'cache_miss',
  ]);
  assert.ok(Object.values(inference_stats).every(({ count, ns }) => count === 0 && ns === 0));
  assert.deepEqual([rest.last_inference, rest.inference_count, rest.execution_count], [0, 0, 0]);
});
