import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, DATA_TYPES, dataTypeName, elementCount, numericView, packBytes, unpackBytes } from '../src/tensor.ts';

test('a tensor that lies at an odd offset of a message is read right, as a Uint8Array and as a Buffer', () => {
  const values = Float32Array.of(1.5, -2, 3e7);
  for (const make of [(n: number) => new Uint8Array(n), (n: number) => Buffer.alloc(n)]) {
    const message = make(3 + values.byteLength);
    message.set(bytesOf(values), 3);
    assert.deepEqual([...numericView('FP32', message.subarray(3))], [1.5, -2, 3e7]);
  }
});

test('an aligned tensor is a view, not a copy', () => {
  const bytes = new Uint8Array(16);
  assert.equal(numericView('INT32', bytes).buffer, bytes.buffer);
});

test('BYTES elements survive the round trip, empty ones too', () => {
  const elements = ['', 'a', 'größe', '\0\0'].map((text) => new Uint8Array(Buffer.from(text)));
  assert.deepEqual(
    unpackBytes(packBytes(elements), 4, 't').map((e) => new Uint8Array(e)),
    elements,
  );
});

test('BYTES data that ends early or holds another number of elements is refused, naming the tensor', () => {
  const data = packBytes([Buffer.from('abc')]);
  assert.throws(() => unpackBytes(data.subarray(0, 5), 1, 'name'), /tensor "name".*past the end/);
  assert.throws(() => unpackBytes(data, 2, 'name'), /tensor "name": expected 2 BYTES elements by its shape, got 1/);
  assert.throws(() => unpackBytes(data.subarray(0, 3), 1, 'name'), /past the end/);
});

test("numbers of datatypes are Triton's, and unknown ones are refused", () => {
  for (const [name, { id }] of Object.entries(DATA_TYPES)) assert.equal(dataTypeName(id), name);
  assert.equal(DATA_TYPES.FP32.id, 11);
  assert.equal(DATA_TYPES.BYTES.id, 13);
  assert.throws(() => dataTypeName(0), { code: 'INVALID_REQUEST' });
  assert.throws(() => dataTypeName(99), { code: 'INVALID_REQUEST' });
});

test('the product of no dimensions is one element', () => {
  assert.equal(elementCount([]), 1);
  assert.equal(elementCount([3, 0]), 0);
});
