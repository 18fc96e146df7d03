import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { PROTO_DIR } from '@spillway/contracts/protos';
import { InferenceClient } from './grpc-client.ts';
import { ask, failureOf, type GrpcMesh, startGrpcMesh } from './grpc-mesh.ts';

const definition = loadSync('spillway/v1/inference.proto', { includeDirs: [PROTO_DIR], keepCase: true, oneofs: true });
type Method = grpc.MethodDefinition<object, Predicted>;
const SERVICE = definition['spillway.v1.Inference'] as unknown as Record<'Predict' | 'PredictStream', Method>;
type Predicted = {
  id: string;
  outputs?: unknown;
  receipt?: Record<string, string>;
  error?: { code: string; message: string };
};

const number = (value: number) => ({ numberValue: value });
const list = (...values: object[]) => ({ listValue: { values } });
const rowOf = (...values: number[]) => list(...values.map(number));

let served: GrpcMesh;
let client: grpc.Client;
before(async () => {
  served = await startGrpcMesh();
  client = new grpc.Client(`127.0.0.1:${served.mesh.gateway.ports.grpc}`, grpc.credentials.createInsecure());
});
after(async () => {
  client.close();
  await served[Symbol.asyncDispose]();
});

const predict = (request: object, headers: Record<string, string> = {}): Promise<Predicted> =>
  new Promise((resolve, reject) => {
    const metadata = new grpc.Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    const { path, requestSerialize, responseDeserialize } = SERVICE.Predict;
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadata, (error, answer) => {
      if (error) reject(Object.assign(error, { trailers: error.metadata.getMap() }));
      else resolve(answer as Predicted);
    });
  });

test('a plain question has a plain answer, by name and in its form', async () => {
  const one = await predict({ model: 'mlp', id: 'mine', inputs: rowOf(7, 2) });
  assert.equal(one.id, 'mine');
  assert.deepEqual(plain(one.outputs), { y: 7 });
  assert.deepEqual(Object.keys(one.receipt ?? {}), []);
  const said = await predict({ model: 'mlp', inputs: rowOf(7, 2) }, { 'spillway-receipt': 'body' });
  assert.equal(said.receipt?.['spillway_rung'], 'run');
  const fields = { INPUT0: rowOf(...Array(16).fill(3)), INPUT1: rowOf(...Array(16).fill(1)) };
  const both = await predict({ model: 'simple', inputs: { structValue: { fields } } });
  assert.deepEqual(plain(both.outputs), { OUTPUT0: Array(16).fill(4), OUTPUT1: Array(16).fill(2) });
});

test('a wrong question fails with the status of its code', async () => {
  for (const [request, code, message] of [
    [{ model: 'mlp' }, 3, /expected one of "inputs", "text" or "entities"/],
    [{ model: 'mlp', text: { stringValue: 'a' } }, 3, /does not take one text/],
    [{ inputs: rowOf(1, 2) }, 3, /model_name|model: expected/],
    [{ model: 'nobody', inputs: rowOf(1, 2) }, 5, /no such model/],
    [{ model: 'mlp', inputs: nest(42) }, 3, /at most 40 levels/],
    [{ model: 'mlp', inputs: rowOf(Number.NaN, 1) }, 3, /data\[0\]: expected a number/],
  ] as const) {
    const failure = (await failureOf(predict(request))) as unknown as { code: number; details: string };
    assert.equal(failure.code, code, failure.details);
    assert.match(failure.details, message);
  }
});

test('a stream answers in order; what fails says so in its place', async () => {
  const { path, requestSerialize, responseDeserialize } = SERVICE.PredictStream;
  const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  const ended = Promise.withResolvers<Predicted[]>();
  const answers: Predicted[] = [];
  stream.on('data', (answer: Predicted) => answers.push(answer));
  stream.on('error', ended.reject);
  stream.on('end', () => ended.resolve(answers));
  stream.write({ model: 'mlp', id: 'a', inputs: rowOf(1, 2) });
  stream.write({ model: 'mlp', id: 'b', text: { stringValue: 'no' } });
  stream.write({ model: 'mlp', id: 'c', inputs: rowOf(3, 2) });
  stream.end();
  const [a, b, c] = await ended.promise;
  assert.deepEqual([a?.id, plain(a?.outputs), a?.receipt?.['spillway_rung']], ['a', { y: 1 }, 'run']);
  assert.deepEqual([b?.id, b?.error?.code], ['b', 'INVALID_REQUEST']);
  assert.match(b?.error?.message ?? '', /does not take one text/);
  assert.deepEqual([c?.id, plain(c?.outputs)], ['c', { y: 3 }]);
});

test('messages may be compressed, within the same limit once decoded', async () => {
  for (const algorithm of [1, 2]) {
    using packed = new InferenceClient(served.mesh.gateway.ports.grpc, {
      'grpc.default_compression_algorithm': algorithm,
    });
    const { answer } = await packed.infer(ask('mlp', [5, 6]));
    assert.equal(answer.raw_output_contents.length, 1);
    const bomb = { model_name: 'mlp', inputs: [], raw_input_contents: [Buffer.alloc(1024 * 1024)] };
    assert.equal((await failureOf(packed.infer(bomb))).code, 8);
    assert.equal((await packed.infer(ask('mlp', [5, 6]))).answer.model_name, 'mlp');
  }
});

test('the best classes and the receipt in the answer, over gRPC', async () => {
  const outputs = [{ name: 'OUTPUT0', parameters: { classification: { int64_param: 1 } } }];
  const input = (name: string, values: number[]) => ({
    name,
    datatype: 'INT32',
    shape: [1, 16],
    contents: { int_contents: values },
  });
  const inputs = [
    input(
      'INPUT0',
      Array.from({ length: 16 }, (_, n) => n),
    ),
    input('INPUT1', Array(16).fill(1)),
  ];
  const parameters = { spillway_receipt: { string_param: 'body' } };
  const { answer, trailers } = await served.client.infer({ model_name: 'simple', inputs, outputs, parameters });
  assert.deepEqual(
    answer.outputs.map(({ datatype, shape }) => [datatype, shape]),
    [['BYTES', ['1', '1']]],
  );
  assert.equal(answer.raw_output_contents[0]?.subarray(4).toString(), '16:15');
  assert.equal(answer.parameters['spillway_batch_id']?.string_param, trailers['spillway-batch-id']);
  const unknown = { model_name: 'simple', inputs, outputs: [{ name: 'q' }] };
  assert.match((await failureOf(served.client.infer(unknown))).details, /no output "q"; it has OUTPUT0, OUTPUT1/);
});

const nest = (levels: number): object => (levels === 0 ? number(1) : list(nest(levels - 1)));

/** A google.protobuf.Value as the JSON it stands for. */
function plain(value: unknown): unknown {
  const { kind, ...members } = value as Record<string, never> & { kind: string };
  const set = (members as Record<string, unknown>)[kind];
  if (kind === 'listValue') return (set as { values: unknown[] }).values.map(plain);
  if (kind !== 'structValue') return set;
  const { fields } = set as { fields: Record<string, unknown> };
  return Object.fromEntries(Object.entries(fields).map(([name, member]) => [name, plain(member)]));
}
