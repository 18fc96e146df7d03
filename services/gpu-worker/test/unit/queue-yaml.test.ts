import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { readModelYaml } from '../../src/adapters/model-yaml.ts';
import { makeRepository } from '../support/fixtures.ts';

async function read(yaml: string) {
  await using models = await makeRepository({ m: { yaml } });
  return readModelYaml(join(models.dir, 'm'));
}
const faultOf = (text: string): Promise<string> =>
  read(text).then(
    () => 'no fault',
    (error: Error) => error.message,
  );
const batching = (members: string): string => `max_batch_size: 16\ndynamic_batching: { ${members} }`;

test('Triton’s knobs of queue and batches are handed on, its levels of priority as classes and its times in ms', async () => {
  const { queueRules, defaultDeadlineMs, maxQueueDelayMs } = await read(`
max_batch_size: 16
dynamic_batching:
  preferred_batch_size: [16, 4, 16]
  max_queue_delay_microseconds: 500
  preserve_ordering: false
  priority_levels: 3
  default_priority_level: 2
  default_queue_policy: { timeout_action: DELAY, default_timeout_microseconds: 250000, allow_timeout_override: true, max_queue_size: 64 }
  priority_queue_policy:
    1: { default_timeout_microseconds: 100500 }
    3: { timeout_action: DELAY, max_queue_size: 8 }
`);
  assert.deepEqual(queueRules, {
    preferredBatchSizes: [4, 16],
    queuePolicy: { timeoutAction: 'delay', allowTimeoutOverride: true, maxQueueSize: 64 },
    priorityPolicies: {
      vip: { timeoutAction: 'reject', allowTimeoutOverride: false, maxQueueSize: 0, defaultTimeoutMs: 100.5 },
      bulk: { timeoutAction: 'delay', allowTimeoutOverride: false, maxQueueSize: 8 },
    },
  });
  assert.deepEqual([defaultDeadlineMs, maxQueueDelayMs], [250, 0.5]);
});

test('a timeout of 0 is none, as in Triton: the model’s default deadline stays', async () => {
  const { defaultDeadlineMs } = await read(batching('default_queue_policy: { default_timeout_microseconds: 0 }'));
  assert.equal(defaultDeadlineMs, 5_000);
});

test('length buckets, slow start and limits are handed on; a slow start over batches is the default', async () => {
  const { queueRules } = await read(`
length_buckets: [16, 64, 256]
slow_start: { over: 30s }
limits: { max_in_flight: 200, rate: 1000.5 }
`);
  assert.deepEqual(queueRules, {
    lengthBuckets: [16, 64, 256],
    slowStartMs: 30_000,
    limits: { maxInFlight: 200, rate: 1_000.5 },
  });
  assert.deepEqual((await read('slow_start: { over: batches }')).queueRules, {});
  assert.deepEqual((await read('slow_start: { over: 2m }')).queueRules, { slowStartMs: 120_000 });
});

test('a class may have a longer default deadline than the model, and the longest allowed follows it', async () => {
  const text = 'priority_levels: 3, priority_queue_policy: { 3: { default_timeout_microseconds: 120000000 } }';
  assert.equal((await read(batching(text))).maxDeadlineMs, 120_000);
  assert.match(
    await faultOf(`${batching(text)}\nmax_deadline_ms: 60000`),
    /max_deadline_ms: expected at least .* 120000 ms/,
  );
});

test('a knob out of range is a fault that names field, expected and got', async () => {
  const cases: [string, RegExp][] = [
    [batching('priority_levels: 4'), /dynamic_batching\.priority_levels: expected integer ≥ 0 ≤ 3, got 4/],
    [batching('preferred_batch_size: [32]'), /preferred_batch_size\[0\]: expected at most max_batch_size 16, got 32/],
    [batching('preserve_ordering: true'), /dynamic_batching\.preserve_ordering: expected false, got true: /],
    [
      batching('priority_levels: 2, default_priority_level: 3'),
      /default_priority_level: expected at most priority_levels 2, got 3/,
    ],
    [
      batching('priority_levels: 2, priority_queue_policy: { 3: {} }'),
      /priority_queue_policy: expected levels from 1 to priority_levels 2, got "3"/,
    ],
    [batching('priority_queue_policy: { vip: {} }'), /priority_queue_policy: expected levels .* got "vip"/],
    [
      batching('default_queue_policy: { timeout_action: DROP }'),
      /default_queue_policy\.timeout_action: expected one of "REJECT", "DELAY", got "DROP"/,
    ],
    [
      batching('default_queue_policy: { max_queue_size: -1 }'),
      /default_queue_policy\.max_queue_size: expected integer .* got -1/,
    ],
    ['length_buckets: [16, 16]', /length_buckets\[1\]: expected more than 16, the one before it, got 16/],
    ['length_buckets: [0]', /length_buckets\[0\]: expected .* got 0/],
    ['slow_start: { over: soon }', /slow_start\.over: expected .*batches.* got "soon"/],
    ['slow_start: { over: 61m }', /slow_start\.over: expected at most 60m, got "61m"/],
    ['limits: { rate: 0 }', /limits\.rate: expected .* got 0/],
    ['limits: { max_in_flight: 1.5 }', /limits\.max_in_flight: expected integer .* got 1\.5/],
  ];
  for (const [text, expected] of cases) assert.match(await faultOf(text), expected);
});
