import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseJson, readInferAnswer, readInferBody, writeInferBody } from '../../src/infer-body.ts';
import type { InputTensor } from '../../src/inputs.ts';
import { encodeValues } from '../../src/tensors.ts';

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const write = (...inputs: InputTensor[]) => writeInferBody(inputs, { binaryOutput: false });

test('values go as JSON, 64-bit integers with all their digits', () => {
  const { bytes, headerLength } = write({ name: 'x', datatype: 'INT64', shape: [2], data: [2n ** 62n, -1] });
  assert.equal(headerLength, undefined);
  assert.equal(
    textOf(bytes),
    '{"inputs":[{"name":"x","datatype":"INT64","shape":[2],"data":[4611686018427387904,-1]}]}',
  );
});

test('a typed array goes as a binary tensor behind the JSON, beside values in it', () => {
  const { bytes, headerLength } = write(
    { name: 'a', datatype: 'BYTES', shape: [1], data: ['"'] },
    { name: 'b', datatype: 'UINT8', shape: [2], data: new Uint8Array([7, 8]) },
  );
  assert.equal(bytes.byteLength, headerLength! + 2);
  assert.deepEqual([...bytes.subarray(headerLength)], [7, 8]);
  const { inputs } = JSON.parse(textOf(bytes.subarray(0, headerLength)));
  assert.deepEqual(inputs[0].data, ['"']);
  assert.deepEqual(inputs[1].parameters, { binary_data_size: 2 });
});

test('what JSON cannot say goes as a binary tensor', () => {
  assert.notEqual(write({ name: 'x', datatype: 'FP32', shape: [1], data: [Number.NaN] }).headerLength, undefined);
  assert.notEqual(
    write({ name: 'x', datatype: 'BYTES', shape: [1], data: [new Uint8Array([255])] }).headerLength,
    undefined,
  );
});

test('outputs that are asked for are named', () => {
  const { bytes } = writeInferBody([], { outputs: ['y'], binaryOutput: true });
  assert.deepEqual(JSON.parse(textOf(bytes)), {
    parameters: { binary_data_output: true },
    inputs: [],
    outputs: [{ name: 'y' }],
  });
});

test('binary and JSON outputs of one answer are read alike, at any offset', () => {
  const json = new TextEncoder().encode(
    '{"model_name":"m","model_version":"3","outputs":[{"name":"a","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":6}},' +
      '{"name":"b","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}},{"name":"c","datatype":"FP32","shape":[2],"data":[1.5,2]}]}',
  );
  const body = new Uint8Array([...json, ...encodeValues('BYTES', ['hi']), ...encodeValues('FP32', [1.5, 2])]);
  const { model, version, outputs } = readInferBody(body, json.byteLength, 'text');
  assert.deepEqual([model, version], ['m', '3']);
  assert.deepEqual(outputs['a']?.data, ['hi']);
  assert.deepEqual(outputs['b'], { datatype: 'FP32', shape: [1, 2], data: new Float32Array([1.5, 2]) });
  assert.deepEqual(outputs['c']?.data, new Float32Array([1.5, 2]));
});

test('64-bit integers in JSON are not rounded', () => {
  const body = new TextEncoder().encode(
    '{"outputs":[{"name":"x","datatype":"UINT64","shape":[2],"data":[18446744073709551615,1]}]}',
  );
  assert.deepEqual(readInferBody(body, undefined, 'text').outputs['x']?.data, new BigUint64Array([2n ** 64n - 1n, 1n]));
});

test('bytes that are not UTF-8 are refused as text, and come as they are if that was asked for', () => {
  const outputs = [{ name: 'x', datatype: 'BYTES', shape: [1], parameters: { binary_data_size: 5 } }];
  const binary = new Uint8Array([1, 0, 0, 0, 255]);
  assert.throws(() => readInferAnswer({ outputs }, 'text', binary), {
    code: 'UNSUPPORTED',
    message: /bytes: 'binary'/,
  });
  assert.deepEqual(readInferAnswer({ outputs }, 'binary', binary).outputs['x']?.data, [new Uint8Array([255])]);
});

test('an answer that breaks its own shape is no answer', () => {
  const short = [{ name: 'x', datatype: 'FP32', shape: [2], parameters: { binary_data_size: 4 } }];
  assert.throws(() => readInferAnswer({ outputs: short }, 'text', new Uint8Array(4)), /8 bytes for its shape, got 4/);
  assert.throws(
    () => readInferAnswer({ outputs: [{ name: 'x', datatype: 'FP32', shape: [2], data: [1] }] }, 'text'),
    /2 elements/,
  );
  assert.throws(() => readInferAnswer({}, 'text'), /no outputs/);
  assert.throws(() => parseJson('<html>'), { code: 'INTERNAL' });
});
