import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connectBus } from '@spillway/bus/connect';
import type { ModelRecord } from '@spillway/contracts/buckets';
import { cancelCodec, type Tensor } from '@spillway/contracts/messages';
import { ALL_CANCELS } from '@spillway/contracts/subjects';
import { DATA_TYPES } from '@spillway/contracts/tensor';
import { type TestKeys, writeKeysFile } from '@spillway/testing/api-keys';
import { mlp } from '../unit/fixtures.ts';
import { type GatewayUnderTest, startGatewayUnderTest, until } from './gateway-under-test.ts';
import { type Failure, InferenceClient } from './grpc-client.ts';
import { PlayedWorker } from './played-worker.ts';

const simple: ModelRecord = {
  ...mlp,
  model: 'simple',
  versions: ['1'],
  maxBatchSize: 8,
  inputs: [
    { name: 'INPUT0', datatype: 'INT32', dims: [16] },
    { name: 'INPUT1', datatype: 'INT32', dims: [16] },
  ],
  outputs: [
    { name: 'OUTPUT0', datatype: 'INT32', dims: [16] },
    { name: 'OUTPUT1', datatype: 'INT32', dims: [16] },
  ],
};
const slow: ModelRecord = { ...mlp, model: 'slow' };

let mesh: GatewayUnderTest;
let keys: TestKeys;
let client: InferenceClient;
let held: PlayedWorker;
const cleanUp = new AsyncDisposableStack();

before(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'spillway-keys-'));
  cleanUp.defer(() => rm(folder, { recursive: true, force: true }));
  keys = await writeKeysFile(join(folder, 'keys.json'));
  mesh = cleanUp.use(
    await startGatewayUnderTest({
      models: [simple, mlp, slow],
      env: { GATEWAY_KEYS_FILE: join(folder, 'keys.json'), GATEWAY_MAX_BODY_BYTES: '65536' },
    }),
  );
  client = cleanUp.use(new InferenceClient(mesh.gateway.ports.grpc));
  const serving = async (instance: string) =>
    cleanUp.use(await connectBus({ url: mesh.nats.url, service: 'gpu-worker', instance }));
  cleanUp.use(new PlayedWorker(await serving('worker-simple'), simple, ({ inputs }) => sumAndDifference(inputs)));
  cleanUp.use(
    new PlayedWorker(await serving('worker-mlp'), mlp, ({ inputs }) => {
      const [x] = floats(inputs[0]?.data as Uint8Array);
      if (x === 13) return { errorCode: 'BACKEND_FAILED', errorMessage: 'the model failed', errorReason: 'run' };
      return [
        { name: 'y', datatype: DATA_TYPES.FP32.id, shape: [1, 1], data: Buffer.from(Float32Array.of(x ?? 0).buffer) },
      ];
    }),
  );
  held = cleanUp.use(new PlayedWorker(await serving('worker-slow'), slow, () => undefined));
  await until('simple is ready', async () => ((await client.call('ModelReady', { name: 'simple' })) as Ready).ready);
});
after(() => cleanUp.disposeAsync());

type Ready = { ready: boolean };
const ints = (bytes: Uint8Array): Int32Array => new Int32Array(Uint8Array.from(bytes).buffer);
const floats = (bytes: Uint8Array): Float32Array => new Float32Array(Uint8Array.from(bytes).buffer);

function sumAndDifference(inputs: Tensor[]): Tensor[] {
  const [a, b] = inputs.map(({ data }) => ints(data)) as [Int32Array, Int32Array];
  const output = (name: string, values: Int32Array): Tensor => ({
    name,
    datatype: DATA_TYPES.INT32.id,
    shape: [1, 16],
    data: Buffer.from(values.buffer),
  });
  return [
    output(
      'OUTPUT0',
      a.map((v, i) => v + (b[i] ?? 0)),
    ),
    output(
      'OUTPUT1',
      a.map((v, i) => v - (b[i] ?? 0)),
    ),
  ];
}

const ask = (model: string, x: number[] = [1, 2], fields: object = {}) => ({
  model_name: model,
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, x.length], contents: { fp32_contents: x } }],
  ...fields,
});

async function failureOf(call: Promise<unknown>): Promise<Failure> {
  try {
    await call;
  } catch (failure) {
    return failure as Failure;
  }
  throw new Error('expected the call to fail');
}

/** Requests of this door that ended with this code, by the metrics page. */
async function endedAs(code: string): Promise<number> {
  const page = await (await fetch(`http://127.0.0.1:${mesh.gateway.ports.metrics}/metrics`)).text();
  const ofDoor = page.split('\n').filter((line) => /duration_seconds_count\{.*door="grpc"/.test(line));
  const counted = ofDoor.filter((line) => line.includes(`code="${code}"`));
  return counted.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

test("Triton's Node example runs as it is", async () => {
  assert.deepEqual(await client.call('ServerLive', {}), { live: true });
  assert.deepEqual(await client.call('ServerReady', {}), { ready: true });
  assert.deepEqual(await client.call('ModelMetadata', { name: 'simple', version: '' }), {
    name: 'simple',
    versions: ['1'],
    platform: 'onnxruntime_onnx',
    inputs: [
      { name: 'INPUT0', datatype: 'INT32', shape: ['-1', '16'] },
      { name: 'INPUT1', datatype: 'INT32', shape: ['-1', '16'] },
    ],
    outputs: [
      { name: 'OUTPUT0', datatype: 'INT32', shape: ['-1', '16'] },
      { name: 'OUTPUT1', datatype: 'INT32', shape: ['-1', '16'] },
    ],
  });
  const numbers = Array.from({ length: 16 }, (_, i) => i);
  const input = (name: string) => ({
    name,
    datatype: 'INT32',
    shape: [1, 16],
    contents: { int_contents: numbers },
  });
  const { answer } = await client.infer({
    model_name: 'simple',
    model_version: '',
    inputs: [input('INPUT0'), input('INPUT1')],
    outputs: [{ name: 'OUTPUT0' }, { name: 'OUTPUT1' }],
  });
  assert.deepEqual([answer.model_name, answer.model_version, answer.id], ['simple', '1', '']);
  assert.deepEqual(
    answer.raw_output_contents.map((raw) => [...ints(raw)]),
    [numbers.map((n) => 2 * n), numbers.map(() => 0)],
  );
});

test('the answer names what ran, and the receipt is in the trailers', async () => {
  const traceparent = `00-${'e'.repeat(32)}-${'f'.repeat(16)}-01`;
  const headers = { 'x-request-id': 'order-7', 'spillway-class': 'bulk', traceparent };
  const { answer, trailers } = await client.infer(ask('mlp', [0.5, 1], { id: 'mine' }), { headers });
  assert.deepEqual([answer.id, answer.model_version, answer.parameters], ['mine', '2', {}]);
  assert.deepEqual([...floats(answer.raw_output_contents[0] as Buffer)], [0.5]);
  assert.deepEqual(answer.outputs, [
    { name: 'y', datatype: 'FP32', shape: ['1', '1'], parameters: {}, contents: null },
  ]);
  assert.deepEqual(trailers, {
    'x-request-id': 'order-7',
    'spillway-rung': 'run',
    'spillway-class': 'bulk',
    'spillway-model-version': '2',
    'spillway-cache': 'bypass',
    'spillway-queue-ms': '0.250',
    'spillway-run-ms': '1.500',
    'spillway-batch-id': 'b-1',
    'spillway-batch-size': '1',
    'spillway-closed-by': 'idle',
    'spillway-worker': 'gpu-worker-played',
    'spillway-trace-id': 'e'.repeat(32),
  });
});

test('a version that is named runs', async () => {
  const { answer } = await client.infer(ask('mlp', [1, 2], { model_version: '1' }));
  assert.equal(answer.model_version, '1');
});

test("the key gives tenant and class, a request may lower it, and its trace is the caller's", async () => {
  const at = held.arrived.length;
  const traceparent = `00-${'c'.repeat(32)}-${'d'.repeat(16)}-01`;
  const bearer = { authorization: `Bearer ${keys.vip}` };
  const priority = { priority: { uint64_param: '2' } };
  const pending = [
    client.infer(ask('slow'), { headers: { ...bearer, traceparent } }),
    client.infer(ask('slow', [1, 2], { parameters: priority }), { headers: bearer }),
  ];
  await held.request(at + 1);
  const arrived = held.arrived.slice(at);
  assert.deepEqual(arrived.map(({ trafficClass, item }) => `${trafficClass} ${item.tenant}`).sort(), [
    'standard test',
    'vip test',
  ]);
  assert.ok(arrived.some(({ item }) => item.traceparent.slice(3, 35) === 'c'.repeat(32)));
  for (const one of arrived) held.reply(one, []);
  await Promise.all(pending);
});

test('the smallest budget given counts', async () => {
  const at = held.arrived.length;
  const timeout = { timeout: { int64_param: '20000000' } };
  const pending = [
    client.infer(ask('slow', [1, 2], { parameters: timeout }), { headers: { 'spillway-timeout-ms': '30000' } }),
    client.infer(ask('slow', [1, 2], { parameters: timeout }), { timeoutMs: 10_000 }),
  ];
  await held.request(at + 1);
  const budgets = held.arrived.slice(at).map(({ item }) => item.budgetMs);
  const [shorter, longer] = budgets.sort((a, b) => a - b) as [number, number];
  assert.ok(longer > 15_000 && longer <= 20_000, `${longer}`);
  assert.ok(shorter > 5_000 && shorter <= 9_800, `${shorter}: 2 % are kept for the way back`);
  for (const one of held.arrived.slice(at)) held.reply(one, []);
  await Promise.all(pending);
});

const WRONG: [what: string, request: object, code: number, spillway: string, text: RegExp][] = [
  ['an unknown model', ask('nope'), 5, 'MODEL_NOT_FOUND', /no such model/],
  ['no model', ask(''), 3, 'INVALID_REQUEST', /model_name/],
  ['an unknown version', ask('mlp', [1, 2], { model_version: '9' }), 5, 'MODEL_NOT_FOUND', /it has 1, 2/],
  [
    'a wrong datatype',
    {
      model_name: 'mlp',
      inputs: [{ name: 'x', datatype: 'INT32', shape: [1, 2], contents: { int_contents: [1, 2] } }],
    },
    3,
    'INVALID_REQUEST',
    /input "x": expected datatype FP32, got INT32/,
  ],
  ['a wrong shape', ask('mlp', [1, 2, 3]), 3, 'INVALID_REQUEST', /input "x": expected shape \[-1,2\], got \[1,3\]/],
  [
    'raw bytes of the wrong size',
    {
      model_name: 'mlp',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2] }],
      raw_input_contents: [Buffer.alloc(4)],
    },
    3,
    'INVALID_REQUEST',
    /input "x": expected 8 bytes for shape \[1,2\], got 4/,
  ],
  ['a missing input', { model_name: 'mlp' }, 3, 'INVALID_REQUEST', /expected a tensor "x"/],
  [
    'an unknown output',
    ask('mlp', [1, 2], { outputs: [{ name: 'q' }] }),
    3,
    'INVALID_REQUEST',
    /no output "q"; it has y/,
  ],
  ['what the model fails on', ask('mlp', [13, 0]), 13, 'BACKEND_FAILED', /the model failed/],
  [
    'a sequence',
    ask('mlp', [1, 2], { parameters: { sequence_id: { int64_param: '1' } } }),
    12,
    'UNSUPPORTED',
    /sequence_id/,
  ],
];
for (const [what, request, code, spillway, text] of WRONG) {
  test(`${what} is refused as ${spillway}`, async () => {
    const failure = await failureOf(client.infer(request));
    assert.deepEqual([failure.code, failure.trailers['spillway-error']], [code, spillway]);
    assert.match(failure.details, text);
    assert.ok(failure.trailers['grpc-status-details-bin'], 'the details travel');
    assert.equal(failure.trailers['grpc-retry-pushback-ms'], '-1', 'no retry of what fails again');
  });
}

test('a wrong key is refused at every method that needs one, and no key is anonymous on loopback', async () => {
  const headers = { authorization: `Bearer ${keys.vip.slice(0, -1)}!` };
  for (const [name, request] of [
    ['ModelInfer', ask('mlp')],
    ['ModelMetadata', { name: 'mlp' }],
    ['RepositoryIndex', {}],
  ] as const) {
    const failure = await failureOf(client.call(name, request, { headers }));
    assert.deepEqual([failure.code, failure.trailers['spillway-error']], [16, 'UNAUTHENTICATED'], name);
  }
  assert.ok((await client.infer(ask('mlp'))).answer);
});

test('metadata that cannot be read is refused by its name', async () => {
  for (const headers of [{ 'spillway-timeout-ms': 'soon' }, { 'spillway-class': 'gold' }] as Record<string, string>[]) {
    const failure = await failureOf(client.infer(ask('mlp'), { headers }));
    assert.equal(failure.code, 3);
    assert.match(failure.details, new RegExp(Object.keys(headers)[0] as string));
  }
});

test('a message above the limit is refused, and the connection goes on', async () => {
  const big = ask('mlp', new Array(20_000).fill(1));
  const [failure, good] = await Promise.all([failureOf(client.infer(big)), client.infer(ask('mlp', [4, 2]))]);
  assert.equal(failure.code, 8);
  assert.deepEqual([...floats(good.answer.raw_output_contents[0] as Buffer)], [4]);
});

test('the door answers before the client gives up, so that no stream is reset', async () => {
  const sentMs = performance.now();
  const failure = await failureOf(client.infer(ask('slow'), { timeoutMs: 1_000 }));
  const tookMs = performance.now() - sentMs;
  assert.deepEqual([failure.code, failure.trailers['spillway-error']], [4, 'DEADLINE_EXCEEDED']);
  assert.equal(failure.trailers['spillway-reason'], 'expired', "it is the door's answer, not the client's own");
  assert.ok(tookMs > 950, `${tookMs} ms: all but 2 % of the time was used`);
});

test('a call whose time is over when it arrives is refused at once', async () => {
  const failure = await failureOf(client.infer(ask('slow'), { headers: { 'spillway-timeout-ms': '0' } }));
  assert.deepEqual([failure.code, failure.trailers['spillway-reason']], [4, 'expired']);
});

test('a client that cancels is told to the batchers, and its late answer is ignored', async () => {
  const before = await endedAs('CANCELLED');
  const cancelled: number[] = [];
  const watch = mesh.bus.subscribe(ALL_CANCELS, ({ payload }) => cancelled.push(...cancelCodec.decode(payload).seqs));
  const at = held.arrived.length;
  const abort = new AbortController();
  const call = failureOf(client.infer(ask('slow'), { signal: abort.signal }));
  const arrived = await held.request(at);
  abort.abort();
  assert.equal((await call).code, 1);
  await until('the cancel was published', () => cancelled.includes(arrived.item.seq));
  held.reply(arrived, []);
  assert.ok((await client.infer(ask('mlp'))).answer, 'the connection goes on');
  assert.equal((await endedAs('CANCELLED')) - before, 1, 'counted once');
  watch.stop();
});

test('repository, server and models say what is there', async () => {
  const { models } = (await client.call('RepositoryIndex', { ready: true })) as { models: { name: string }[] };
  assert.deepEqual(
    models.map(({ name, ...entry }) => ({ name, ...entry })),
    [
      { name: 'mlp', version: '1', state: 'READY', reason: '' },
      { name: 'mlp', version: '2', state: 'READY', reason: '' },
      { name: 'simple', version: '1', state: 'READY', reason: '' },
      { name: 'slow', version: '1', state: 'READY', reason: '' },
      { name: 'slow', version: '2', state: 'READY', reason: '' },
    ],
  );
  const server = (await client.call('ServerMetadata', {})) as { name: string; extensions: string[] };
  assert.equal(server.name, 'spillway');
  assert.ok(server.extensions.includes('model_repository'));
  assert.deepEqual(await client.call('ModelReady', { name: 'nope' }), { ready: false });
  assert.deepEqual(await client.call('ModelReady', { name: 'mlp', version: '9' }), { ready: false });
  assert.equal((await failureOf(client.call('ModelMetadata', { name: 'nope' }))).code, 5);
});

test('what is not served yet says so by itself', async () => {
  for (const name of ['ModelConfig', 'ModelStatistics', 'RepositoryModelLoad', 'RepositoryModelUnload']) {
    assert.equal((await failureOf(client.call(name, {}))).code, 12, name);
  }
});

test('the health service knows the server and the service by name', async () => {
  assert.deepEqual(await client.health(''), { status: 'SERVING' });
  assert.deepEqual(await client.health('inference.GRPCInferenceService'), { status: 'SERVING' });
});

test('compressed messages are read', async () => {
  using gzip = new InferenceClient(mesh.gateway.ports.grpc, { 'grpc.default_compression_algorithm': 2 });
  const { answer } = await gzip.infer(ask('mlp', [7, 2]));
  assert.deepEqual([...floats(answer.raw_output_contents[0] as Buffer)], [7]);
});
