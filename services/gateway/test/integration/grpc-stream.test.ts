import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connectBus } from '@spillway/bus/connect';
import { cancelCodec } from '@spillway/contracts/messages';
import { ALL_CANCELS } from '@spillway/contracts/subjects';
import { DATA_TYPES } from '@spillway/contracts/tensor';
import { until } from '@spillway/testing/until';
import { mlp } from '../unit/fixtures.ts';
import { type GatewayUnderTest, startGatewayUnderTest } from './gateway-under-test.ts';
import { InferenceClient } from './grpc-client.ts';
import { type Arrived, type Played, PlayedWorker } from './played-worker.ts';

const slow = { ...mlp, model: 'slow' };
let mesh: GatewayUnderTest;
let client: InferenceClient;
let held: PlayedWorker;
const cleanUp = new AsyncDisposableStack();

before(async () => {
  mesh = cleanUp.use(await startGatewayUnderTest({ models: [mlp, slow] }));
  const bus = cleanUp.use(await connectBus({ url: mesh.nats.url, service: 'gpu-worker', instance: 'worker-1' }));
  cleanUp.use(new PlayedWorker(bus, mlp, echo));
  held = cleanUp.use(new PlayedWorker(bus, slow, () => undefined));
  client = cleanUp.use(new InferenceClient(mesh.gateway.ports.grpc));
});
after(() => cleanUp.disposeAsync());

const first = (bytes: Uint8Array): number => Buffer.from(bytes).readFloatLE();
const echo = ({ inputs }: Arrived): Played => {
  const data = Buffer.from(Float32Array.of(first(inputs[0]?.data as Uint8Array)).buffer);
  return [{ name: 'y', datatype: DATA_TYPES.FP32.id, shape: [1, 1], data }];
};
const ask = (model: string, n: number, fields: object = {}) => ({
  model_name: model,
  id: `id-${n}`,
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2] }],
  raw_input_contents: [Buffer.from(Float32Array.of(n, 0).buffer)],
  ...fields,
});

test('many requests are in flight, each answer is the last of its request and carries its receipt', async () => {
  const stream = client.stream();
  for (let n = 0; n < 200; n += 1) stream.send(ask('mlp', n));
  const answers = await stream.received(200);
  assert.deepEqual(
    answers.map(({ infer_response: { id, raw_output_contents: raw } }) => [id, first(raw[0] as Buffer)]),
    answers.map((_, n) => [`id-${n}`, n]),
  );
  for (const { error_message, infer_response } of answers) {
    assert.equal(error_message, '');
    assert.equal(infer_response.parameters['triton_final_response']?.bool_param, true);
    assert.equal(infer_response.parameters['spillway_worker']?.string_param, 'gpu-worker-played');
  }
  const ids = new Set(answers.map(({ infer_response }) => infer_response.parameters['x_request_id']?.string_param));
  assert.equal(ids.size, 200, 'every request has an id of its own');
  stream.halfClose();
  assert.equal(await stream.ended, undefined);
});

test('answers come in the order of the requests, whatever the model', async () => {
  const at = held.arrived.length;
  const stream = client.stream();
  stream.send(ask('slow', 1));
  stream.send(ask('mlp', 2));
  stream.send(ask('slow', 3));
  stream.send(ask('mlp', 4));
  await held.request(at + 1);
  const [one, three] = held.arrived.slice(at) as [Arrived, Arrived];
  held.reply(three, echo(three));
  await client.call('ServerLive', {}); // a round trip: what could have been sent was sent
  assert.equal(stream.answers.length, 0);
  held.reply(one, echo(one));
  const answers = await stream.received(4);
  assert.deepEqual(
    answers.map(({ infer_response }) => infer_response.id),
    ['id-1', 'id-2', 'id-3', 'id-4'],
  );
  stream.halfClose();
});

test('a failed request is an ordinary message with its id, its code and no outputs, and the stream goes on', async () => {
  const stream = client.stream();
  stream.send(ask('mlp', 1, { inputs: [{ name: 'x', datatype: 'INT32', shape: [1, 2] }] }));
  stream.send(ask('nope', 2));
  stream.send(ask('mlp', 3));
  const [wrong, unknown, good] = await stream.received(3);
  assert.match(wrong?.error_message ?? '', /input "x": expected datatype FP32, got INT32/);
  assert.match(unknown?.error_message ?? '', /no such model/);
  const said = [wrong, unknown].map((answer) => {
    const { id, outputs, parameters } = answer?.infer_response ?? {};
    return [id, outputs?.length, parameters?.['spillway_error']?.['string_param']];
  });
  assert.deepEqual(said, [
    ['id-1', 0, 'INVALID_REQUEST'],
    ['id-2', 0, 'MODEL_NOT_FOUND'],
  ]);
  assert.equal(good?.error_message, '');
  stream.halfClose();
  assert.equal(await stream.ended, undefined);
});

test('with triton_grpc_error the first failure ends the stream with its status, after the answers before it', async () => {
  const stream = client.stream({ headers: { triton_grpc_error: 'true' } });
  stream.send(ask('mlp', 1));
  stream.send(ask('nope', 2));
  stream.send(ask('slow', 3));
  const failure = await stream.ended;
  assert.deepEqual([failure?.code, failure?.trailers['spillway-error']], [5, 'MODEL_NOT_FOUND']);
  assert.deepEqual(
    stream.answers.map(({ infer_response }) => infer_response.id),
    ['id-1'],
  );
});

test('a half-close finishes what is in flight', async () => {
  const at = held.arrived.length;
  const stream = client.stream();
  stream.send(ask('slow', 1));
  stream.halfClose();
  const arrived = await held.request(at);
  held.reply(arrived, echo(arrived));
  assert.equal(await stream.ended, undefined);
  assert.deepEqual(
    stream.answers.map(({ infer_response }) => infer_response.id),
    ['id-1'],
  );
});

test('a cancel gives up everything in flight on the stream', async () => {
  const cancelled = new Set<number>();
  const watch = mesh.bus.subscribe(ALL_CANCELS, ({ payload }) => {
    for (const seq of cancelCodec.decode(payload).seqs) cancelled.add(seq);
  });
  const at = held.arrived.length;
  const stream = client.stream();
  for (let n = 0; n < 5; n += 1) stream.send(ask('slow', n));
  await held.request(at + 4);
  stream.cancel();
  assert.equal((await stream.ended)?.code, 1);
  const seqs = held.arrived.slice(at).map(({ item }) => item.seq);
  await until('all five were cancelled', () => seqs.every((seq) => cancelled.has(seq)));
  watch.stop();
});

test('a client that has much in flight is not read further, and loses nothing', async () => {
  const at = held.arrived.length;
  const stream = client.stream({ headers: { 'spillway-timeout-ms': '60000' } });
  const count = 6_000;
  for (let n = 0; n < count; n += 1) stream.send(ask('slow', n));
  await held.request(at + 1_023);
  await client.call('ServerLive', {});
  assert.ok(held.arrived.length - at <= 1_024, `${held.arrived.length - at} were read`);
  let answered = at;
  while (answered < at + count) {
    const arrived = await held.request(answered);
    held.reply(arrived, echo(arrived));
    answered += 1;
  }
  const answers = await stream.received(count);
  assert.ok(
    answers.every(({ infer_response, error_message }, n) => error_message === '' && infer_response.id === `id-${n}`),
  );
  stream.halfClose();
  assert.equal(await stream.ended, undefined);
});

test("the stream's own deadline ends it from the server's side", async () => {
  const stream = client.stream({ headers: { 'grpc-timeout': '300m' } });
  stream.send(ask('slow', 1));
  const failure = await stream.ended;
  assert.deepEqual([failure?.code, failure?.trailers['spillway-error']], [4, 'DEADLINE_EXCEEDED']);
});

test('a stream with a wrong key or unreadable metadata ends at once', async () => {
  const wrongKey = await client.stream({ headers: { authorization: 'Bearer sk_x_y' } }).ended;
  assert.deepEqual([wrongKey?.code, wrongKey?.trailers['spillway-error']], [16, 'UNAUTHENTICATED']);
  const wrongTime = await client.stream({ headers: { 'spillway-timeout-ms': '-1' } }).ended;
  assert.equal(wrongTime?.code, 3);
  assert.match(wrongTime?.details ?? '', /spillway-timeout-ms/);
});
