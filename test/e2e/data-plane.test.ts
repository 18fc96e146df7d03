import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { packBytes, unpackBytes } from '@spillway/contracts/tensor';
import type { Mesh } from '@spillway/testing/mesh';
import { startSeededMesh } from '../support/mesh-fixture.ts';

/** What bodies may hold, from the door to a real model and back. */
let mesh: Mesh;
before(async () => {
  mesh = await startSeededMesh({ serves: ['identity', 'intent', 'credit-risk', 'simple'] });
});
after(async () => {
  await mesh?.[Symbol.asyncDispose]();
});

const post = (
  path: string,
  body: string | Buffer<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<Response> => fetch(`${mesh.url}${path}`, { method: 'POST', body, headers });
const JSON_LENGTH = 'inference-header-content-length';

/** Through `identity`, both ways as bytes unless `binary` is false. */
async function echo(numbers: number[], text: Buffer, binary = true): Promise<{ said: Response; body: Buffer }> {
  const floats = Buffer.from(Float32Array.from(numbers).buffer);
  const packed = packBytes([text]);
  const head = Buffer.from(
    JSON.stringify({
      inputs: [
        {
          name: 'input_fp32',
          datatype: 'FP32',
          shape: [1, numbers.length],
          parameters: { binary_data_size: floats.length },
        },
        { name: 'input_bytes', datatype: 'BYTES', shape: [1, 1], parameters: { binary_data_size: packed.length } },
      ],
      parameters: { binary_data_output: binary },
    }),
  );
  const said = await post('/v2/models/identity/infer', Buffer.concat([head, floats, packed]), {
    [JSON_LENGTH]: String(head.length),
  });
  const body = Buffer.from(await said.arrayBuffer());
  return { said, body: body.subarray(Number(said.headers.get(JSON_LENGTH) ?? 0)) };
}

test('NaN and infinity come back as they went in', async () => {
  const numbers = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0];
  const { said, body } = await echo(numbers, Buffer.from('ä'));
  assert.equal(said.status, 200, body.toString());
  assert.deepEqual([...new Float32Array(Uint8Array.from(body.subarray(0, 16)).buffer)], numbers);
  assert.equal(String(unpackBytes(body.subarray(16), 1, 'output_bytes')[0]), 'ä');
});

test('in JSON they are refused with the way out', async () => {
  const { said, body } = await echo([Number.NaN], Buffer.from('a'), false);
  assert.deepEqual([said.status, said.headers.get('spillway-error')], [501, 'UNSUPPORTED']);
  assert.match(body.toString(), /output_fp32\\": it holds NaN or infinity.*ask for it as a binary tensor/);
});

test('bytes that are no text are refused by a model of ONNX Runtime, whose strings are texts', async () => {
  const { said, body } = await echo([1], Buffer.from([0xff]));
  assert.deepEqual([said.status, said.headers.get('spillway-error')], [400, 'INVALID_REQUEST']);
  assert.match(body.toString(), /input_bytes.*expected UTF-8 text/);
});

test('a tensor of size 0 goes through a real model', async () => {
  const { said, body } = await echo([], Buffer.from('a'));
  assert.equal(said.status, 200, body.toString());
  assert.deepEqual(body, packBytes([Buffer.from('a')]));
});

test('a text alone is a raw request', async () => {
  const said = await post('/v2/models/intent/infer', 'Where is my new card?', { [JSON_LENGTH]: '0' });
  assert.equal(said.status, 200);
  const body = Buffer.from(await said.arrayBuffer());
  assert.match(body.subarray(Number(said.headers.get(JSON_LENGTH))).toString('latin1'), /card_arrival/);
});

type Outputs = { outputs: Record<string, unknown> };

test('the plain door: a text, ids, tensors by name', async () => {
  const predict = async (model: string, body: object) =>
    (await (await post(`/v1/models/${model}:predict`, JSON.stringify(body))).json()) as Outputs;
  const one = await predict('intent', { text: 'Where is my new card?' });
  assert.equal(one.outputs['label'], 'card_arrival');
  const many = (await predict('intent', { text: ['Where is my new card?', 'I lost my card'] })) as unknown as {
    outputs: { label: string }[];
  };
  assert.deepEqual(
    many.outputs.map(({ label }) => label),
    ['card_arrival', 'lost_or_stolen_card'],
  );
  const risk = await predict('credit-risk', { entities: 'client-1' });
  assert.ok(typeof risk.outputs['probability'] === 'number');
  const sums = await predict('simple', { inputs: { INPUT0: Array(16).fill(5), INPUT1: Array(16).fill(2) } });
  assert.deepEqual(sums.outputs, { OUTPUT0: Array(16).fill(7), OUTPUT1: Array(16).fill(3) });
});

test('generate: tensors by name, whole or as an event; a label in place of a version', async () => {
  const said = await post('/v2/models/intent/generate', '{"id": "q", "text_input": "Where is my new card?"}');
  const { scores, ...answer } = (await said.json()) as { scores: number[] };
  assert.deepEqual(answer, { id: 'q', model_name: 'intent', model_version: '1', text_output: 'card_arrival' });
  assert.equal(scores.length, 77);
  const inputs = { INPUT0: Array(16).fill(5), INPUT1: Array(16).fill(2) };
  const stream = await post('/v2/models/simple/versions/stable/generate_stream', JSON.stringify(inputs));
  assert.equal(stream.headers.get('spillway-model-version'), '1');
  const event = { model_name: 'simple', model_version: '1', OUTPUT0: Array(16).fill(7), OUTPUT1: Array(16).fill(3) };
  assert.equal(await stream.text(), `data: ${JSON.stringify(event)}\n\n`);
  const unknown = await post('/v2/models/simple/versions/canary/generate', JSON.stringify(inputs));
  assert.deepEqual(
    [unknown.status, await unknown.json()],
    [404, { error: 'model "simple" has no such label; it has stable (1), and the versions 1' }],
  );
});

test('the best classes of a real model', async () => {
  const inputs = [
    { name: 'text', datatype: 'BYTES', shape: [2, 1], data: ['Where is my new card?', 'I lost my card'] },
  ];
  const outputs = [{ name: 'label' }, { name: 'scores', parameters: { classification: 3 } }];
  const said = await post('/v2/models/intent/infer', JSON.stringify({ inputs, outputs }));
  const answer = (await said.json()) as { outputs: { shape: number[]; data: string[] }[] };
  const scores = answer.outputs[1];
  assert.deepEqual(scores?.shape, [2, 3]);
  for (const entry of scores?.data ?? []) assert.match(entry, /^\d\.\d{6}:\d+:[a-z_]+$/);
  assert.match(scores?.data[0] ?? '', /:card_arrival$/);
});
