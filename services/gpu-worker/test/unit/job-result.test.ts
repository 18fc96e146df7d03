import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobAnswer } from '../../src/core/job-result.ts';
import { encode, fp32, int64, type TestTensor, texts } from '../support/tensors.ts';

const FACTS = { model: 'm', version: '2', job: { job: 'j1' } };
const text = (...tensors: TestTensor[]): string => Buffer.from(jobAnswer(FACTS, encode(...tensors))).toString();

test('an answer is the JSON of the Open Inference Protocol', () => {
  const answer = text(fp32('y', [1, 2], [0.5, -2]), texts('label', [1, 1], ['say "hi"\n']));
  assert.deepEqual(JSON.parse(answer), {
    model_name: 'm',
    model_version: '2',
    id: 'j1',
    outputs: [
      { name: 'y', datatype: 'FP32', shape: [1, 2], data: [0.5, -2] },
      { name: 'label', datatype: 'BYTES', shape: [1, 1], data: ['say "hi"\n'] },
    ],
  });
});

test('64-bit integers keep all digits', () => {
  const large: TestTensor = {
    ...int64('n', [1], [0]),
    data: new Uint8Array(BigInt64Array.from([-9_223_372_036_854_775_807n]).buffer),
  };
  assert.match(text(large), /"data":\[-9223372036854775807\]/);
});

test('truth values are true and false', () => {
  assert.match(text({ name: 'b', datatype: 'BOOL', shape: [2], data: Uint8Array.of(1, 0) }), /"data":\[true,false\]/);
});

test('what JSON cannot carry is a typed failure, not a wrong number', () => {
  const fails = (tensor: TestTensor, message: RegExp) =>
    assert.throws(() => text(tensor), { code: 'UNSUPPORTED', message });
  fails(fp32('y', [1], [Number.NaN]), /output "y": it holds NaN or infinity/);
  fails(fp32('y', [1], [Number.NEGATIVE_INFINITY]), /NaN or infinity/);
  fails({ name: 'h', datatype: 'FP16', shape: [1], data: new Uint8Array(2) }, /FP16 has no JSON form/);
  fails({ name: 't', datatype: 'BYTES', shape: [1], data: Uint8Array.of(1, 0, 0, 0, 0xff) }, /not UTF-8/);
});

test('it holds the outputs that were asked for, and what degraded it', () => {
  const job = { job: 'j1', outputs: ['b'], degraded: 'features' };
  const both = encode(fp32('a', [1], [1]), fp32('b', [1], [2]));
  const answer = JSON.parse(String(Buffer.from(jobAnswer({ ...FACTS, job }, both))));
  assert.deepEqual(answer.outputs, [{ name: 'b', datatype: 'FP32', shape: [1], data: [2] }]);
  assert.deepEqual(answer.parameters, { spillway_degraded: 'features' });
  const unknown = { ...FACTS, job: { job: 'j1', outputs: ['c'] } };
  assert.throws(() => jobAnswer(unknown, both), { code: 'INVALID_REQUEST', message: /no output "c"/ });
});
