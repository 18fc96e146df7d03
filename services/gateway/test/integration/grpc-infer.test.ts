import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '@spillway/testing/until';
import { InferenceClient } from './grpc-client.ts';
import { ask, failureOf, floats, type GrpcMesh, ints, startGrpcMesh } from './grpc-mesh.ts';

let world: GrpcMesh;
let client: InferenceClient;
before(async () => {
  world = await startGrpcMesh();
  client = world.client;
});
after(() => world[Symbol.asyncDispose]());

test("Triton's Node example runs as it is", async () => {
  assert.deepEqual(await client.call('ServerLive', {}), { live: true });
  // A gateway whose event loop is far behind says no: on a crowded machine that passes.
  await until('it is ready', async () => ((await client.call('ServerReady', {})) as { ready: boolean }).ready);
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

test('a call that is repeated under its idempotency key has the answer that it had; with another message it is a conflict', async () => {
  const headers = { 'idempotency-key': 'order-18' };
  const first = await client.infer(ask('mlp', [0.25, 1]), { headers });
  const again = await client.infer(ask('mlp', [0.25, 1]), { headers });
  assert.deepEqual(again.answer, first.answer);
  assert.deepEqual([first.trailers['spillway-cache'], again.trailers['spillway-cache']], ['bypass', 'hit']);
  const { code } = await failureOf(client.infer(ask('mlp', [0.75, 1]), { headers }));
  assert.equal(code, 6);
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

test('a version that is named runs, by its number or its label', async () => {
  for (const model_version of ['1', 'stable']) {
    const { answer } = await client.infer(ask('mlp', [1, 2], { model_version }));
    assert.equal(answer.model_version, '1');
  }
});

test("the key gives tenant and class, a request may lower it, and its trace is the caller's", async () => {
  const at = world.held.arrived.length;
  const traceparent = `00-${'c'.repeat(32)}-${'d'.repeat(16)}-01`;
  const bearer = { authorization: `Bearer ${world.keys.vip}` };
  const priority = { priority: { uint64_param: '2' } };
  const pending = [
    client.infer(ask('slow'), { headers: { ...bearer, traceparent } }),
    client.infer(ask('slow', [1, 2], { parameters: priority }), { headers: bearer }),
  ];
  await world.held.request(at + 1);
  const arrived = world.held.arrived.slice(at);
  assert.deepEqual(arrived.map(({ trafficClass, item }) => `${trafficClass} ${item.tenant}`).sort(), [
    'standard test',
    'vip test',
  ]);
  assert.ok(arrived.some(({ item }) => item.traceparent.slice(3, 35) === 'c'.repeat(32)));
  for (const one of arrived) world.held.reply(one, []);
  await Promise.all(pending);
});

test('the smallest budget given counts', async () => {
  const at = world.held.arrived.length;
  const timeout = { timeout: { int64_param: '20000000' } };
  const pending = [
    client.infer(ask('slow', [1, 2], { parameters: timeout }), { headers: { 'spillway-timeout-ms': '30000' } }),
    client.infer(ask('slow', [1, 2], { parameters: timeout }), { timeoutMs: 10_000 }),
  ];
  await world.held.request(at + 1);
  const budgets = world.held.arrived.slice(at).map(({ item }) => item.budgetMs);
  const [shorter, longer] = budgets.sort((a, b) => a - b) as [number, number];
  assert.ok(longer > 15_000 && longer <= 20_000, `${longer}`);
  assert.ok(shorter > 5_000 && shorter <= 9_800, `${shorter}: 2 % are kept for the way back`);
  for (const one of world.held.arrived.slice(at)) world.held.reply(one, []);
  await Promise.all(pending);
});

test('repository, server and models say what is there', async () => {
  let models: { name: string }[] = [];
  await until('all are ready', async () => {
    ({ models } = (await client.call('RepositoryIndex', { ready: true })) as { models: { name: string }[] });
    return models.length >= 5; // a worker that was not heard for three seconds is not
  });
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

test('the health service knows the server and the service by name', async () => {
  assert.deepEqual(await client.health(''), { status: 'SERVING' });
  assert.deepEqual(await client.health('inference.GRPCInferenceService'), { status: 'SERVING' });
});

test('the health service knows every service that is served, those of reflection too', async () => {
  for (const version of ['v1', 'v1alpha']) {
    assert.deepEqual(await client.health(`grpc.reflection.${version}.ServerReflection`), { status: 'SERVING' });
  }
});

test('compressed messages are read', async () => {
  using gzip = new InferenceClient(world.mesh.gateway.ports.grpc, { 'grpc.default_compression_algorithm': 2 });
  const { answer } = await gzip.infer(ask('mlp', [7, 2]));
  assert.deepEqual([...floats(answer.raw_output_contents[0] as Buffer)], [7]);
});
