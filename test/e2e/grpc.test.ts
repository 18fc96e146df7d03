import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import type { Mesh } from '@spillway/testing/mesh';
import { casesOf, differenceOf, MODELS_WITH_CASES } from '../support/cases.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';
import { grpcRequest, OipGrpcClient, outputsOf, type StreamResponse } from '../support/oip-grpc.ts';

let mesh: Mesh;
let client: OipGrpcClient;
before(async () => {
  mesh = await startSeededMesh({ serves: MODELS_WITH_CASES });
  client = new OipGrpcClient(mesh.grpc);
});
after(async () => {
  client?.[Symbol.dispose]();
  await mesh?.[Symbol.asyncDispose]();
});

for (const model of MODELS_WITH_CASES) {
  test(`${model} answers over gRPC as plain ONNX Runtime does`, async () => {
    for (const wanted of casesOf(model)) {
      const reply = await client.infer(grpcRequest(model, wanted));
      assert.equal(reply.code, 0, reply.details);
      assert.equal(differenceOf(wanted, outputsOf(reply.response)), undefined);
    }
  });
}

test('one stream carries requests for several models, and ids tell the answers apart', async () => {
  const stream = client.stream();
  const answers: StreamResponse[] = [];
  stream.on('data', (answer: StreamResponse) => answers.push(answer));
  const asked = ['mlp', 'simple', 'identity'].flatMap((model) => casesOf(model).map((wanted) => ({ model, wanted })));
  for (const [n, { model, wanted }] of asked.entries()) stream.write({ ...grpcRequest(model, wanted), id: String(n) });
  stream.end();
  await once(stream, 'end');
  assert.equal(answers.length, asked.length);
  for (const { error_message: error, infer_response: response } of answers) {
    assert.ok(!error, error);
    const { model, wanted } = asked[Number(response?.id)]!;
    assert.equal(response?.model_name, model);
    assert.equal(differenceOf(wanted, outputsOf(response)), undefined);
  }
});

test('a failed request on a stream is a message, and the stream goes on', async () => {
  const stream = client.stream();
  const answers: StreamResponse[] = [];
  stream.on('data', (answer: StreamResponse) => answers.push(answer));
  stream.write({ ...grpcRequest('mlp', casesOf('mlp')[0]!), model_name: 'nothing', id: 'bad' });
  stream.write({ ...grpcRequest('mlp', casesOf('mlp')[0]!), id: 'good' });
  stream.end();
  await once(stream, 'end');
  const bad = answers.find(({ infer_response: r }) => r?.id === 'bad');
  const good = answers.find(({ infer_response: r }) => r?.id === 'good');
  assert.match(bad?.error_message ?? '', /model/);
  assert.equal(differenceOf(casesOf('mlp')[0]!, outputsOf(good?.infer_response)), undefined);
});

test('ServerLive and ServerReady say so', async () => {
  const live = await client.call<{ live: boolean }>('ServerLive', {});
  const ready = await client.call<{ ready: boolean }>('ServerReady', {});
  assert.deepEqual([live.response?.live, ready.response?.ready], [true, true]);
});
