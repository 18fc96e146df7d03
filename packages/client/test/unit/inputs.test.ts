import assert from 'node:assert/strict';
import { test } from 'node:test';
import { areComplete, encodeInput, type Inputs, toTensors, type Values } from '../../src/inputs.ts';
import type { ModelMetadata } from '../../src/metadata.ts';
import type { Datatype } from '../../src/tensors.ts';

const modelWith = (datatype: Datatype, shape: number[]): ModelMetadata => ({
  name: 'm',
  versions: ['1'],
  platform: '',
  inputs: [{ name: 'x', datatype, shape }],
  outputs: [],
});
const shapeFor = (data: Values, shape: number[], datatype: Datatype = 'FP32') =>
  toTensors({ x: data }, modelWith(datatype, shape))[0]!.shape;
const bytesFor = (data: Values, datatype: Datatype) => [
  ...encodeInput(toTensors({ x: data }, modelWith(datatype, [-1]))[0]!),
];

const shapes: { data: Values; declared: number[]; shape: number[]; datatype?: Datatype }[] = [
  { data: ['a', 'b'], declared: [-1, 1], shape: [2, 1], datatype: 'BYTES' },
  { data: [['a'], ['b']], declared: [-1, 1], shape: [2, 1], datatype: 'BYTES' },
  { data: 'a', declared: [-1, 1], shape: [1, 1], datatype: 'BYTES' },
  { data: new Uint8Array([1]), declared: [-1, 1], shape: [1, 1], datatype: 'BYTES' },
  { data: 7, declared: [-1], shape: [1] },
  { data: [1, 2, 3], declared: [-1], shape: [3] },
  { data: [1, 2, 3, 4], declared: [-1, 2], shape: [2, 2] },
  { data: new Float32Array(6), declared: [-1, 3], shape: [2, 3] },
  { data: [new Float32Array(3), new Float32Array(3)], declared: [-1, 3], shape: [2, 3] },
  { data: [[1, 2, 3]], declared: [-1, 1, 3], shape: [1, 1, 3] },
  { data: [1, 2, 3], declared: [-1, -1], shape: [1, 3] },
  { data: [1, 2, 3, 4], declared: [2, 2], shape: [2, 2] },
  { data: [], declared: [-1, 3], shape: [0, 3] },
];
for (const { data, declared, shape, datatype } of shapes) {
  const text = ArrayBuffer.isView(data)
    ? `${data.constructor.name}(${(data as Uint8Array).length})`
    : JSON.stringify(data);
  test(`${text} for [${declared}] is of shape [${shape}]`, () => {
    assert.deepEqual(shapeFor(data, declared, datatype), shape);
  });
}

test('what does not fit is refused, and the message names input, expectation and what came', () => {
  const refused = (inputs: Inputs, model: ModelMetadata, message: RegExp) =>
    assert.throws(() => toTensors(inputs, model), { code: 'INVALID_REQUEST', message });
  const numbers = modelWith('INT8', [-1, 3]);
  refused({ y: [1] }, numbers, /no input "y"; it has x/);
  refused({ x: [1, 2] }, numbers, /"x": expected shape \[-1, 3\], got \[2\]/);
  refused({ x: [[1, 2, 3], [1]] }, numbers, /rows of different lengths/);
  refused({ x: [1, 2, 300] }, numbers, /data\[2\]: expected an integer that fits INT8, got 300/);
  refused({ x: [1, 2, 0.5] }, numbers, /got 0\.5/);
  refused({ x: new Float32Array(3) }, numbers, /expected values for INT8, got Float32Array/);
  refused({ x: { data: [1, 2], shape: [1, 3] } }, numbers, /expected 3 elements for shape \[1,3\], got 2/);
  refused({ x: ['a'] }, modelWith('FP32', [-1]), /expected a number, got "a"/);
  refused({ x: [1] }, modelWith('FP16', [-1]), /Uint16Array/);
});

test('integers of 64 bits keep all of them, as bigint or as number', () => {
  assert.deepEqual(bytesFor([2n ** 63n - 1n, -1], 'INT64'), [
    255,
    255,
    255,
    255,
    255,
    255,
    255,
    127,
    ...Array(8).fill(255),
  ]);
  assert.deepEqual(bytesFor([2n ** 64n - 1n], 'UINT64'), Array(8).fill(255));
  assert.throws(() => bytesFor([2n ** 63n], 'INT64'), /fits INT64/);
  assert.throws(() => bytesFor([2 ** 60], 'INT64'), /fits INT64/, 'a number that may have been rounded');
});

test('a BYTES element is its length and its bytes, from text or from bytes', () => {
  assert.deepEqual(bytesFor(['é', new Uint8Array([0, 255])], 'BYTES'), [2, 0, 0, 0, 0xc3, 0xa9, 2, 0, 0, 0, 0, 255]);
});

test('a view into a larger buffer sends its own bytes only', () => {
  const view = new Float32Array([9, 1, 2, 9]).subarray(1, 3);
  assert.equal(bytesFor(view, 'FP32').length, 8);
});

test('without metadata a typed array says its datatype, texts and booleans say theirs, and a number says nothing', () => {
  const tensors = toTensors(
    { a: new Int32Array(2), b: ['x'], c: [true], d: { data: [1], datatype: 'FP64' } },
    undefined,
  );
  assert.deepEqual(
    tensors.map(({ datatype, shape }) => [datatype, ...shape]),
    [
      ['INT32', 2],
      ['BYTES', 1],
      ['BOOL', 1],
      ['FP64', 1],
    ],
  );
  assert.throws(() => toTensors({ x: [1] }, undefined), /"x": expected a datatype/);
});

test('metadata is not needed for inputs that say everything', () => {
  assert.equal(
    areComplete({ x: { data: new Float32Array(2), shape: [1, 2] }, y: { data: [1], shape: [1], datatype: 'FP32' } }),
    true,
  );
  assert.equal(areComplete({ x: { data: [1, 2], shape: [1, 2] } }), false);
  assert.equal(areComplete({ x: new Float32Array(2) }), false);
});
