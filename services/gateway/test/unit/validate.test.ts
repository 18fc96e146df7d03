import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelRecord } from '@spillway/contracts/buckets';
import { packBytes } from '@spillway/contracts/tensor';
import { costOf, shapesKey, validateInputs } from '../../src/core/validate.ts';
import { fp32, mlp } from './fixtures.ts';

const rejects = (inputs: Parameters<typeof validateInputs>[0]['inputs'], message: RegExp, model: ModelRecord = mlp) =>
  assert.throws(
    () => validateInputs({ inputs }, model),
    (error: { code: string; message: string }) => error.code === 'INVALID_REQUEST' && message.test(error.message),
  );

test('the rows of a request are the first dimension of its inputs', () => {
  assert.equal(validateInputs({ inputs: [fp32('x', [3, 2], [1, 2, 3, 4, 5, 6])] }, mlp), 3);
});

test('each fault names the input, what was expected and what came', () => {
  rejects([], /expected a tensor "x" \(FP32 \[-1,2\]\)/);
  rejects([{ ...fp32('x', [1, 2], [1, 2]), datatype: 'INT32' }], /input "x": expected datatype FP32, got INT32/);
  rejects([fp32('x', [1, 3], [1, 2, 3])], /input "x": expected shape \[-1,2\], got \[1,3\]/);
  rejects([fp32('x', [2], [1, 2])], /expected shape/);
  rejects([fp32('x', [1, 2], [1])], /expected 8 bytes for shape \[1,2\], got 4/);
  rejects([fp32('x', [1, 2], [1, 2]), fp32('z', [1], [1])], /has no input "z"/);
  rejects([fp32('x', [1, 2], [1, 2]), fp32('x', [1, 2], [1, 2])], /given twice/);
  rejects([fp32('x', [-1, 2], [])], /integers ≥ 0/);
});

test('rows beyond max_batch_size and no rows at all are refused', () => {
  rejects([fp32('x', [5, 2], new Array(10).fill(0))], /1 to 4 rows \(max_batch_size\), got 5/);
  rejects([fp32('x', [0, 2], [])], /got 0/);
});

test('a model that does not batch takes its whole shape and counts one row', () => {
  const whole = { ...mlp, maxBatchSize: 0 };
  assert.equal(validateInputs({ inputs: [fp32('x', [2], [1, 2])] }, whole), 1);
});

test('inputs must agree in rows', () => {
  const two = { ...mlp, inputs: [...mlp.inputs, { name: 'z', datatype: 'FP32' as const, dims: [1] }] };
  rejects([fp32('x', [2, 2], [1, 2, 3, 4]), fp32('z', [1, 1], [1])], /input "z": expected 2 rows/, two);
});

test('BYTES data must hold as many elements as the shape says', () => {
  const text = { ...mlp, inputs: [{ name: 't', datatype: 'BYTES' as const, dims: [1] }] };
  const data = packBytes([Buffer.from('a'), Buffer.from('bc')]);
  assert.equal(validateInputs({ inputs: [{ name: 't', datatype: 'BYTES', shape: [2, 1], data }] }, text), 2);
  rejects([{ name: 't', datatype: 'BYTES', shape: [1, 1], data }], /expected 1 BYTES elements/, text);
  rejects([{ name: 't', datatype: 'BYTES', shape: [2, 1], data: data.subarray(0, 8) }], /past the end/, text);
});

test('cost counts rows, or a quarter of the text', () => {
  assert.equal(costOf(mlp, [fp32('x', [3, 2], [])], 3), 3);
  const input = { name: 't', datatype: 'BYTES' as const, shape: [1, 1], data: new Uint8Array(400) };
  assert.equal(costOf({ ...mlp, costRule: 'bytes/4' }, [input], 1), 100);
});

test('requests share a batch key exactly if their rows have the same shape', () => {
  assert.equal(shapesKey([fp32('x', [1, 2], [])], true), shapesKey([fp32('x', [3, 2], [])], true));
  assert.notEqual(shapesKey([fp32('x', [1, 2], [])], true), shapesKey([fp32('x', [1, 3], [])], true));
});
