import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWrongJson, jsonWriter } from '../../src/infer-json.ts';
import {
  idField,
  isWrongMessage,
  messageWriter,
  readInferResponse,
  readStreamResponse,
  timeoutParameter,
} from '../../src/infer-message.ts';
import { SAMPLE_TEXTS, type TensorSpec, tensorSource } from '../../src/inputs.ts';
import { randomStream } from '../../src/random.ts';
import { bytesField, eachField, intField, textField } from '../../src/wire.ts';

const source = (spec: Partial<TensorSpec>, rows = 1) =>
  tensorSource(
    { name: 'x', datatype: 'FP32', shape: [-1, 1], ...spec },
    { rows, columns: 3, texts: SAMPLE_TEXTS, random: randomStream(1, 'inputs') },
  );

const KINDS: [string, Partial<TensorSpec>, number][] = [
  ['a lone float', {}, 1],
  ['64 floats', { shape: [-1, 64] }, 1],
  ['four rows of two doubles', { datatype: 'FP64', shape: [-1, 2] }, 4],
  ['16 integers', { datatype: 'INT32', shape: [-1, 16] }, 1],
  ['bytes of integers', { datatype: 'INT8', shape: [-1, 16] }, 1],
  ['long integers of variable length', { datatype: 'INT64', shape: [-1, -1] }, 2],
  ['texts', { datatype: 'BYTES' }, 3],
];

for (const [name, spec, rows] of KINDS) {
  test(`${name}: ten thousand requests have different inputs, of the declared shape, the same in every form`, () => {
    const of = source(spec, rows);
    const count = of.shape.reduce((a, b) => a * b, 1);
    const seen = new Set<string>();
    for (let n = 1; n <= 10_000; n += 1) seen.add(of.json(n));
    assert.equal(seen.size, 10_000);
    for (const n of [1, 777, 123_456_789]) {
      const values = JSON.parse(`[${of.json(n)}]`) as unknown[];
      assert.deepEqual(values, of.values(n));
      assert.equal(values.length, count);
      assert.ok(of.raw(n).equals(of.raw(n)));
    }
  });
}

test('raw elements are little-endian, texts have their length in front', () => {
  assert.equal(source({}).raw(1_000_001).readFloatLE(), 1_000_001);
  const ints = source({ datatype: 'INT32', shape: [-1, 3] });
  assert.deepEqual(
    [0, 4, 8].map((at) => ints.raw(123).readInt32LE(at)),
    ints.values(123),
  );
  const text = source({ datatype: 'BYTES' });
  const raw = text.raw(5);
  assert.equal(raw.subarray(4, 4 + raw.readUInt32LE()).toString(), text.values(5)[0]);
});

test('a tensor that cannot be made is refused by its name', () => {
  assert.throws(() => source({ datatype: 'FP16' }), /input x: expected BYTES or one of FP32.*got FP16/);
  assert.throws(() => source({ shape: [-1, 0] }), /input x: expected a shape with elements, got \[1, 0\]/);
});

test('a request is JSON of the Open Inference Protocol', () => {
  const sources = [source({ name: 'a' }), source({ name: 'b', datatype: 'BYTES' })];
  assert.deepEqual(JSON.parse(jsonWriter(sources)(7)), {
    inputs: [
      { name: 'a', shape: [1, 1], datatype: 'FP32', data: [7] },
      { name: 'b', shape: [1, 1], datatype: 'BYTES', data: sources[1]!.values(7) },
    ],
  });
});

test('an answer that is not what was sent is wrong: another number, a missing output, no JSON', () => {
  const sources = [source({ shape: [-1, 2] })];
  const [first = 0, second = 0] = sources[0]!.values(9) as number[];
  const answer = (data: unknown[]) => JSON.stringify({ outputs: [{ name: 'y', data }] });
  assert.equal(isWrongJson(answer([first, second]), sources, 9), false);
  assert.equal(isWrongJson(answer([[Math.fround(first), Math.fround(second)]]), sources, 9), false);
  assert.ok(isWrongJson(answer([second, first]), sources, 9));
  assert.ok(isWrongJson(answer([first]), sources, 9));
  assert.ok(isWrongJson('{"outputs":[]}', sources, 9));
  assert.ok(isWrongJson('oops', sources, 9));
});

test('a message has the model, its tensors, the raw contents, an id and a timeout', () => {
  const of = source({ shape: [-1, 300] });
  const message = Buffer.concat([messageWriter('m', [of])(3), idField('17'), timeoutParameter(1_500)]);
  const fields = new Map<number, Buffer>();
  eachField(message, (field, value) => void fields.set(field, value));
  assert.deepEqual([...fields.keys()].sort(), [1, 3, 4, 5, 7]);
  assert.equal(fields.get(1)?.toString(), 'm');
  assert.equal(fields.get(3)?.toString(), '17');
  assert.ok(fields.get(7)?.equals(of.raw(3)));
});

test('id, receipt and outputs of an answer are read, on a stream too', () => {
  const of = source({});
  const parameter = (name: string, value: Buffer) =>
    bytesField(4, Buffer.concat([textField(1, name), bytesField(2, value)]));
  const response = Buffer.concat([
    textField(1, 'm'),
    textField(3, '17'),
    parameter('spillway_batch_size', textField(3, '8')),
    parameter('triton_final_response', intField(1, 1)),
    bytesField(6, of.raw(4)),
  ]);
  const { id, parameters, raw } = readInferResponse(response);
  assert.deepEqual([id, parameters.get('spillway_batch_size')], ['17', '8']);
  assert.equal(isWrongMessage(raw, [of], 4), false);
  assert.ok(isWrongMessage(raw, [of], 5));
  assert.equal(readStreamResponse(bytesField(2, response)).id, '17');
  const failure = Buffer.concat([textField(1, 'overloaded'), bytesField(2, textField(3, '9'))]);
  assert.deepEqual([readStreamResponse(failure).error, readStreamResponse(failure).id], ['overloaded', '9']);
});
