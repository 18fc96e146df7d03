import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelMetadata } from '../../src/door.ts';
import { bodyFromData, bodyFromTexts, InputError } from '../../src/infer-input.ts';

const model = (...inputs: ModelMetadata['inputs']): ModelMetadata => ({
  ...{ name: 'm', versions: ['1'], platform: 'onnxruntime_onnx', outputs: [] },
  inputs,
});
const x = { name: 'x', datatype: 'FP32', shape: [-1, 3] };
const text = { name: 'text', datatype: 'BYTES', shape: [-1, 1] };

test('one row gets its batch dimension, several rows keep theirs', () => {
  assert.deepEqual(bodyFromData({ x: [1, 2, 3] }, model(x)).inputs, [
    { name: 'x', datatype: 'FP32', shape: [1, 3], data: [1, 2, 3] },
  ]);
  assert.deepEqual(
    bodyFromData(
      {
        x: [
          [1, 2, 3],
          [4, 5, 6],
        ],
      },
      model(x),
    ).inputs,
    [{ name: 'x', datatype: 'FP32', shape: [2, 3], data: [1, 2, 3, 4, 5, 6] }],
  );
});

test('the values of an only input need no name, and a single value is a row', () => {
  assert.deepEqual(bodyFromData('hello', model(text)).inputs, [
    { name: 'text', datatype: 'BYTES', shape: [1, 1], data: ['hello'] },
  ]);
});

test('a whole request goes through as it is', () => {
  const body = { id: 'a', inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 3], data: [1, 2, 3] }] };
  assert.equal(bodyFromData(body, model(x)), body);
});

test('texts are rows of the first input that takes text', () => {
  assert.deepEqual(bodyFromTexts(['a', 'b'], model(x, text)).inputs, [
    { name: 'text', datatype: 'BYTES', shape: [2, 1], data: ['a', 'b'] },
  ]);
  assert.throws(() => bodyFromTexts(['a'], model(x)), InputError);
});

test('what does not fit is refused with what was expected', () => {
  assert.throws(() => bodyFromData({ x: [1, 2] }, model(x)), /x: expected shape \[-1, 3\], got \[1, 2\]/);
  assert.throws(() => bodyFromData({ x: [[1, 2, 3], [4]] }, model(x)), /rows of different lengths/);
  assert.throws(() => bodyFromData({ y: 1 }, model(x)), /no input "y"; it has x/);
  assert.throws(() => bodyFromData([1], model(x, text)), /has 2 inputs/);
});
