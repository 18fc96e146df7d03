import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestReader } from '../../src/core/request-reader.ts';
import type { ServedGraph } from '../../src/core/served-graph.ts';
import { encode, fp32, int64, texts } from '../support/tensors.ts';

const graph = (over: Partial<ServedGraph> = {}): ServedGraph => {
  const requestInputs = over.requestInputs ?? [
    { name: 'a', datatype: 'FP32', dims: [2] },
    { name: 'b', datatype: 'INT64', dims: [1] },
  ];
  return {
    maxBatchSize: 4,
    inputs: requestInputs,
    outputs: [],
    requestInputs,
    feeds: requestInputs,
    fetches: [],
    ...over,
  };
};

const request = (values: readonly number[], ids: readonly number[]): Uint8Array =>
  encode(int64('b', [ids.length, 1], ids), fp32('a', [ids.length, 2], values));

const bytes = (data: unknown): number[] => [...(data as Uint8Array)];

test('tensors are taken by name, whatever their order, and read as they are', () => {
  const inputs = new RequestReader(graph()).read(request([1, 2], [7]));
  assert.equal(inputs.rows, 1);
  assert.deepEqual(inputs.dims, [[2], [1]]);
  assert.deepEqual(bytes(inputs.data[0]), bytes(fp32('a', [1, 2], [1, 2]).data));
  assert.deepEqual(bytes(inputs.data[1]), bytes(int64('b', [1, 1], [7]).data));
});

test('a layout seen before gives the same as reading it anew', () => {
  const reader = new RequestReader(graph());
  for (let round = 0; round < 50; round += 1) {
    const rows = 1 + (round % 3);
    const values = Array.from({ length: rows * 2 }, (_, i) => round + i / 8);
    const message = request(
      values,
      Array.from({ length: rows }, (_, i) => round * 10 + i),
    );
    const shifted = Buffer.concat([Buffer.alloc(round % 7), message]).subarray(round % 7); // another offset in memory
    assert.deepEqual(reader.read(shifted), new RequestReader(graph()).read(message));
  }
});

test('a message of a known length with other content is not taken for a known layout', () => {
  const reader = new RequestReader(graph());
  reader.read(request([1, 2], [3]));
  const other = Buffer.from(request([1, 2], [3]));
  const at = other.indexOf('a'.charCodeAt(0), other.indexOf('b'.charCodeAt(0)) + 1);
  other[at] = 'c'.charCodeAt(0);
  assert.throws(() => reader.read(other), {
    code: 'INVALID_REQUEST',
    message: /input "a": expected a tensor, got none/,
  });
});

test('what is wrong is named: tensor, expected, got', () => {
  const reader = new RequestReader(graph());
  const b = int64('b', [1, 1], [1]);
  const cases: [Uint8Array, RegExp][] = [
    [encode(b), /input "a": expected a tensor, got none/],
    [encode(b, int64('a', [1, 2], [1, 2])), /input "a": expected datatype FP32, got INT64/],
    [encode(b, fp32('a', [1, 3], [1, 2, 3])), /input "a": expected shape \[-1,2\], got \[1,3\]/],
    [encode(b, fp32('a', [2], [1, 2])), /input "a": expected shape \[-1,2\], got \[2\]/],
    [encode(b, fp32('a', [1, 2], [1])), /input "a": expected 8 bytes for shape \[1,2\], got 4/],
    [encode(b, fp32('a', [2, 2], [1, 2, 3, 4])), /input "b": expected 2 rows as in the other inputs, got 1/],
    [
      encode(fp32('a', [5, 2], Array(10).fill(0)), int64('b', [5, 1], [1, 2, 3, 4, 5])),
      /input "a": expected 1 to 4 rows, got 5/,
    ],
    [encode(b, fp32('a', [0, 2], [])), /input "a": expected 1 to 4 rows, got 0/],
    [Buffer.from([0x0a, 0xff]), /expected a message/],
  ];
  for (const [message, expected] of cases)
    assert.throws(() => reader.read(message), { code: 'INVALID_REQUEST', message: expected });
});

test('texts are checked one by one: UTF-8, no NUL, as many as the shape says', () => {
  const reader = new RequestReader(graph({ requestInputs: [{ name: 't', datatype: 'BYTES', dims: [1] }] }));
  assert.deepEqual(reader.read(encode(texts('t', [2, 1], ['Zürich €', '']))).data, [['Zürich €', '']]);
  const raw = (data: number[]) => encode({ name: 't', datatype: 'BYTES', shape: [1, 1], data: Uint8Array.from(data) });
  assert.throws(() => reader.read(raw([1, 0, 0, 0, 0xff])), /input "t": expected UTF-8 text/);
  assert.throws(() => reader.read(raw([1, 0, 0, 0, 0])), /input "t": expected text without NUL/);
  assert.throws(() => reader.read(raw([9, 0, 0, 0, 65])), /reaches past the end/);
  assert.throws(
    () => reader.read(encode(texts('t', [1, 1], ['a', 'b']))),
    /expected 1 BYTES elements by its shape, got 2/,
  );
});

test('requests of different shapes are told apart, equal ones are not', () => {
  const reader = new RequestReader(graph({ requestInputs: [{ name: 'a', datatype: 'FP32', dims: [-1] }] }));
  const shapesOf = (width: number) => reader.read(encode(fp32('a', [1, width], Array(width).fill(0)))).shapes;
  assert.equal(shapesOf(2), shapesOf(2));
  assert.notEqual(shapesOf(2), shapesOf(3));
});

test('a model that does not batch takes whole shapes as one row', () => {
  const reader = new RequestReader(
    graph({ maxBatchSize: 0, requestInputs: [{ name: 'a', datatype: 'FP32', dims: [1, 2] }] }),
  );
  assert.equal(reader.read(encode(fp32('a', [1, 2], [1, 2]))).rows, 1);
  assert.throws(() => reader.read(encode(fp32('a', [2, 2], [1, 2, 3, 4]))), /expected shape \[1,2\], got \[2,2\]/);
});
