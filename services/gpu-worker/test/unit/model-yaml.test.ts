import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { readModelYaml } from '../../src/adapters/model-yaml.ts';
import { makeRepository } from '../support/fixtures.ts';

async function read(yaml: string, labels = '["a", "b"]') {
  await using models = await makeRepository({ m: { yaml, files: { 'labels.json': labels } } });
  return readModelYaml(join(models.dir, 'm'));
}
const faultOf = (text: string, labels?: string): Promise<string> =>
  read(text, labels).then(
    () => 'no fault',
    (error: Error) => error.message,
  );

test('fields of Triton become the declaration, with microseconds as milliseconds', async () => {
  const declaration = await read(`
name: m
max_batch_size: 8
input: [{ name: x, data_type: TYPE_STRING, dims: [1] }]
output: [{ name: y, data_type: TYPE_FP16, dims: [-1, 2] }]
instance_group: [{ count: 2, kind: KIND_CPU }, { count: 1, kind: KIND_CPU }]
version_policy: { specific: { versions: [1, 3] } }
dynamic_batching: { max_queue_delay_microseconds: 1500, default_queue_policy: { default_timeout_microseconds: 250000 } }
model_warmup: [{ name: w, batch_size: 2, inputs: { x: { data_type: TYPE_STRING, dims: [1], zero_data: true } } }]
response_cache: { enable: true, ttl_seconds: 30 }
run_limit_ms: 100
cost: rows
`);
  assert.deepEqual(declaration, {
    name: 'm',
    backend: 'onnxruntime',
    maxBatchSize: 8,
    inputs: [{ name: 'x', datatype: 'BYTES', dims: [1] }],
    outputs: [{ name: 'y', datatype: 'FP16', dims: [-1, 2] }],
    instances: 3,
    ownExecutor: false,
    versionPolicy: { kind: 'specific', versions: ['1', '3'] },
    defaultDeadlineMs: 250,
    maxDeadlineMs: 60_000,
    runLimitMs: 100,
    costRule: 'rows',
    maxQueueDelayMs: 1.5,
    queueRules: { queuePolicy: { timeoutAction: 'reject', allowTimeoutOverride: false, maxQueueSize: 0 } },
    variants: [],
    responseCache: { ttlMs: 30_000 },
    warmUps: [{ name: 'w', rows: 2, inputs: { x: { dims: [1], fill: 'zero' } } }],
    parameters: {},
  });
});

test('an empty declaration has defaults, and a cache that is not enabled is none', async () => {
  const declaration = await read('response_cache: { enable: false }');
  assert.equal(declaration.maxBatchSize, undefined);
  assert.equal(declaration.defaultDeadlineMs, 5_000);
  assert.equal(declaration.responseCache, undefined);
  assert.deepEqual(declaration.versionPolicy, { kind: 'latest', count: 1 });
});

test('a simulated model, and one that asks for it, get executors of their own', async () => {
  const tensors =
    'input: [{ name: x, data_type: TYPE_FP32, dims: [1] }]\noutput: [{ name: y, data_type: TYPE_FP32, dims: [1] }]';
  assert.equal((await read(`backend: simulated\n${tensors}`)).ownExecutor, true);
  assert.equal((await read('parameters: { own_executor: true }')).ownExecutor, true);
});

test('labels come from a file beside it or stand in it', async () => {
  const head = 'postprocess: { kind: label, scores: s, output: l, labels: ';
  assert.deepEqual((await read(`${head}labels.json }`)).postprocess?.labels, ['a', 'b']);
  assert.deepEqual((await read(`${head}[c] }`)).postprocess?.labels, ['c']);
  assert.match(await faultOf(`${head}../../etc/passwd }`), /m\/model\.yaml: postprocess\.labels/);
  assert.match(await faultOf(`${head}labels.json }`, '{}'), /postprocess\.labels: expected a list of texts/);
});

test('every fault names the file and the field, all in one report', async () => {
  const fault = await faultOf(`
max_batch_size: many
input: [{ name: x, data_type: FP32, dims: [1] }]
max_queue_size: 3
`);
  assert.match(fault, /m\/model\.yaml: max_batch_size: expected integer.*got "many"/);
  assert.match(fault, /m\/model\.yaml: input\[0\]\.data_type: expected one of "TYPE_BOOL", .*got "FP32"/);
  assert.match(fault, /m\/model\.yaml: max_queue_size: unknown member/);
});

test('what does not fit together is a fault', async () => {
  assert.match(await faultOf('name: other'), /name: expected "m", the name of its folder, got "other"/);
  assert.match(await faultOf('features: { entity: id, tensors: [{ view: v, input: x }] }'), /features\.entity/);
  const twice = '{ name: x, data_type: TYPE_FP32, dims: [1] }';
  assert.match(await faultOf(`input: [${twice}, ${twice}]`), /input\[1\]\.name: expected a name of its own/);
  const deadline = 'dynamic_batching: { default_queue_policy: { default_timeout_microseconds: 2000000 } }';
  assert.match(await faultOf(`${deadline}\nmax_deadline_ms: 1000`), /max_deadline_ms: expected at least .* 2000 ms/);
});

test('text that is no YAML, and a bomb of aliases, are faults of the file', async () => {
  assert.match(await faultOf('input: ['), /^m\/model\.yaml: /);
  assert.match(
    await faultOf(`a: &a [1]\nb: &b [${'*a, '.repeat(60)}]\nc: [${'*b, '.repeat(60)}]`),
    /^m\/model\.yaml: /,
  );
});
