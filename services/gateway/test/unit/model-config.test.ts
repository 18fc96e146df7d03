import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelRecord } from '@spillway/contracts/buckets';
import { DATA_TYPES, type DataTypeName } from '@spillway/contracts/tensor';
import { modelMetadata } from '../../src/adapters/oip-metadata.ts';
import { modelConfig } from '../../src/core/model-config.ts';
import { mlp } from './fixtures.ts';
import { decodeConfig } from './model-config-messages.ts';

const rich: ModelRecord = {
  ...mlp,
  maxQueueDelayMs: 0.5,
  preferredBatchSizes: [2, 4],
  queuePolicy: { timeoutAction: 'delay', allowTimeoutOverride: false, maxQueueSize: 7 },
  priorityPolicies: {
    vip: { timeoutAction: 'reject', allowTimeoutOverride: true, maxQueueSize: 0, defaultTimeoutMs: 250 },
    bulk: { timeoutAction: 'delay', allowTimeoutOverride: true, maxQueueSize: 9 },
  },
  responseCache: { ttlMs: 1_000 },
};

test('a record of few words has every member that clients read', () => {
  assert.deepEqual(modelConfig(mlp), {
    name: 'mlp',
    platform: 'onnxruntime_onnx',
    backend: 'onnxruntime',
    version_policy: { specific: { versions: [1, 2] } },
    max_batch_size: 4,
    input: [
      {
        name: 'x',
        data_type: 'TYPE_FP32',
        dims: [2],
        format: 'FORMAT_NONE',
        is_shape_tensor: false,
        allow_ragged_batch: false,
        optional: false,
      },
    ],
    output: [{ name: 'y', data_type: 'TYPE_FP32', dims: [1], label_filename: '', is_shape_tensor: false }],
    dynamic_batching: {
      preferred_batch_size: [],
      max_queue_delay_microseconds: 0,
      preserve_ordering: false,
      priority_levels: 3,
      default_priority_level: 2,
      default_queue_policy: {
        timeout_action: 'REJECT',
        default_timeout_microseconds: 5_000_000,
        allow_timeout_override: true,
        max_queue_size: 0,
      },
      priority_queue_policy: {},
    },
    model_transaction_policy: { decoupled: false },
    response_cache: { enable: false },
    parameters: {},
  });
});

test('queue rules are given in microseconds, by level; a class without a timeout of its own has the default', () => {
  const config = modelConfig(rich);
  assert.equal(config.response_cache.enable, true);
  const { dynamic_batching: batching } = config;
  assert.deepEqual(
    [batching?.preferred_batch_size, batching?.max_queue_delay_microseconds, batching?.default_queue_policy],
    [
      [2, 4],
      500,
      {
        timeout_action: 'DELAY',
        default_timeout_microseconds: 5_000_000,
        allow_timeout_override: true,
        max_queue_size: 7,
      },
    ],
  );
  const levels = Object.entries(batching?.priority_queue_policy ?? {});
  assert.deepEqual(
    levels.map(([level, policy]) => [level, policy.default_timeout_microseconds, policy.max_queue_size]),
    [
      ['1', 250_000, 0],
      ['3', 5_000_000, 9],
    ],
  );
});

test('a model that runs one request at a time has no dynamic batching', () => {
  for (const maxBatchSize of [0, 1]) {
    assert.equal(modelConfig({ ...mlp, maxBatchSize }).dynamic_batching, undefined);
  }
});

test('each tensor of the config is in the metadata; its shape there begins with -1 where the model batches', () => {
  for (const maxBatchSize of [0, 4]) {
    const record = { ...mlp, maxBatchSize };
    const config = modelConfig(record);
    const metadata = modelMetadata({ get: () => record }, 'mlp', undefined);
    for (const [tensors, described] of [
      [config.input, metadata.inputs],
      [config.output, metadata.outputs],
    ] as const) {
      assert.deepEqual(
        tensors.map(({ name, data_type, dims }) => ({
          name,
          datatype: data_type.replace('TYPE_', ''),
          shape: maxBatchSize > 0 ? [-1, ...dims] : dims,
        })),
        described,
      );
    }
  }
});

test('every datatype has the number that Triton gives it, by its published file', () => {
  const numbers = (Object.keys(DATA_TYPES) as DataTypeName[]).map((datatype) => {
    const record = { ...mlp, inputs: [{ name: 'x', datatype, dims: [1] }] };
    return [datatype, decodeConfig(modelConfig(record)).input[0]?.data_type];
  });
  assert.deepEqual(Object.fromEntries(numbers), {
    BOOL: 1,
    UINT8: 2,
    UINT16: 3,
    UINT32: 4,
    UINT64: 5,
    INT8: 6,
    INT16: 7,
    INT32: 8,
    INT64: 9,
    FP16: 10,
    FP32: 11,
    FP64: 12,
    BYTES: 13,
    BF16: 14,
  });
});

test('the message of the gRPC door says the same as the JSON', () => {
  const { dynamic_batching: batching, ...config } = decodeConfig(modelConfig(rich));
  assert.deepEqual(config.version_policy, { specific: { versions: ['1', '2'] }, policy_choice: 'specific' });
  assert.deepEqual([config.max_batch_size, config.response_cache], [4, { enable: true }]);
  assert.deepEqual(config.model_transaction_policy, { decoupled: false });
  assert.deepEqual([batching?.max_queue_delay_microseconds, batching?.priority_levels], ['500', '3']);
  assert.deepEqual(batching?.default_queue_policy, {
    timeout_action: 1,
    default_timeout_microseconds: '5000000',
    allow_timeout_override: true,
    max_queue_size: 7,
  });
});
