import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DATA_TYPES, type DataTypeName } from '@spillway/contracts/tensor';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { writeInferAnswer, writeStreamAnswer, writeStreamFailure } from '../../src/core/oip-grpc-answer.ts';
import type { Answer, Receipt, TensorValue } from '../../src/core/request.ts';
import { fp32 } from './fixtures.ts';
import { decodeAnswer, decodeStreamAnswer } from './oip-grpc-messages.ts';

const receipt: Receipt = {
  rung: 'wait',
  cache: 'bypass',
  version: '2',
  variant: '',
  queueMs: 6.25,
  runMs: 1.5,
  batchId: 'b-1',
  batchRows: 3,
  closedBy: 'size',
  worker: 'gpu-worker-1',
  attempts: 1,
  degraded: '',
};
const answer = (outputs: TensorValue[], over: Partial<Receipt> = {}): Answer => ({
  model: 'mlp',
  outputs,
  receipt: { ...receipt, ...over },
});
const all = { clientId: '', outputs: { names: [] } };
const of = { requestId: 'r-7', traceparent: '', trafficClass: 'bulk' as const };

test('an answer is raw, whatever its datatype', () => {
  for (const datatype of Object.keys(DATA_TYPES) as DataTypeName[]) {
    const data = Buffer.from([1, 0, 0, 0, 7]);
    const read = decodeAnswer(writeInferAnswer(answer([{ name: 'y', datatype, shape: [1, 300], data }]), all));
    assert.deepEqual(
      { ...read, outputs: read.outputs.map((output) => ({ ...output })) },
      {
        model_name: 'mlp',
        model_version: '2',
        outputs: [{ name: 'y', datatype, shape: ['1', '300'] }],
        raw_output_contents: [data],
      },
    );
  }
});

test('the id is echoed, and only the outputs asked for are sent, in their order', () => {
  const three = answer([fp32('a', [1], [1]), fp32('b', [1], [2]), fp32('c', [0], [])]);
  const read = decodeAnswer(writeInferAnswer(three, { clientId: 'größe', outputs: { names: ['c', 'a'] } }));
  assert.equal(read.id, 'größe');
  assert.deepEqual(
    read.outputs.map(({ name }, i) => [name, read.raw_output_contents[i]?.length]),
    [
      ['c', 0],
      ['a', 4],
    ],
  );
  assert.throws(
    () => writeInferAnswer(three, { clientId: '', outputs: { names: ['q'] } }),
    /no output "q"; it has a, b, c/,
  );
});

test('a degraded answer says so in its parameters, an idle one has none', () => {
  const y = [fp32('y', [1], [1])];
  assert.equal(decodeAnswer(writeInferAnswer(answer(y), all)).parameters, undefined);
  const { parameters } = decodeAnswer(writeInferAnswer(answer(y, { degraded: 'features' }), all));
  assert.equal(parameters?.['spillway_degraded']?.['string_param'], 'features');
});

test('on a stream the receipt is in the parameters, and each answer is the last of its request', () => {
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
  const degraded = answer([fp32('y', [1], [1])], { degraded: 'features', variant: 'int8' });
  const bytes = writeStreamAnswer(degraded, { clientId: 'mine', outputs: { names: [] } }, { ...of, traceparent });
  const { error_message, infer_response } = decodeStreamAnswer(bytes);
  assert.equal(error_message, undefined);
  assert.equal(infer_response?.id, 'mine');
  const { triton_final_response: final, ...rest } = infer_response?.parameters ?? {};
  assert.equal(final?.['bool_param'], true);
  assert.deepEqual(Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, value['string_param']])), {
    x_request_id: 'r-7',
    spillway_rung: 'wait',
    spillway_class: 'bulk',
    spillway_model_version: '2',
    spillway_cache: 'bypass',
    spillway_queue_ms: '6.250',
    spillway_run_ms: '1.500',
    spillway_batch_id: 'b-1',
    spillway_batch_size: '3',
    spillway_closed_by: 'size',
    spillway_worker: 'gpu-worker-1',
    spillway_variant: 'int8',
    spillway_degraded: 'features',
    spillway_trace_id: 'a'.repeat(32),
  });
});

test('an answer from the cache has no batch in its receipt', () => {
  const bytes = writeStreamAnswer(answer([], { batchId: '', cache: 'hit' }), all, of);
  const names = Object.keys(decodeStreamAnswer(bytes).infer_response?.parameters ?? {});
  assert.ok(names.includes('spillway_cache') && !names.includes('spillway_batch_size'), `${names}`);
});

test('a failed request on a stream has its text, its id, and what a status of its own would have said', () => {
  const of = { requestId: 'r-1' };
  const error = new SpillwayError('OVERLOADED', 'zu viel – später', { reason: 'fair_rate', retryAfterMs: 250 });
  const read = decodeStreamAnswer(writeStreamFailure(error, 'mine', of));
  assert.equal(read.error_message, 'zu viel – später');
  assert.equal(read.infer_response?.id, 'mine');
  const said = Object.entries(read.infer_response?.parameters ?? {}).map(([name, value]) => [
    name,
    value['string_param'],
  ]);
  assert.deepEqual(
    said.filter(([name]) => name !== 'triton_final_response'),
    [
      ['x_request_id', 'r-1'],
      ['spillway_rung', 'refused'],
      ['spillway_error', 'OVERLOADED'],
      ['spillway_reason', 'fair_rate'],
      ['retry_after_ms', '250'],
    ],
  );
  const long = decodeStreamAnswer(writeStreamFailure(new SpillwayError('INVALID_REQUEST', 'x'.repeat(1e6)), '', of));
  assert.ok((long.error_message?.length ?? 0) < 1_100, 'a name that the client sent is not echoed without end');
});

test('large and small messages do not disturb each other', () => {
  const big = { name: 'y', datatype: 'UINT8' as const, shape: [1, 300_000], data: new Uint8Array(300_000).fill(9) };
  const first = writeInferAnswer(answer([big]), { clientId: 'x'.repeat(500), outputs: { names: [] } });
  const second = writeInferAnswer(answer([fp32('y', [1], [0.5])]), all);
  assert.deepEqual(decodeAnswer(first).raw_output_contents[0], Buffer.from(big.data));
  assert.equal(decodeAnswer(second).raw_output_contents[0]?.readFloatLE(), 0.5);
});

test('a receipt goes into a unary answer only where it was asked for, and out of a stream where it was not wanted', () => {
  const y = [fp32('y', [1], [1])];
  const asked = decodeAnswer(writeInferAnswer(answer(y), all, of)).parameters ?? {};
  assert.equal(asked['spillway_rung']?.['string_param'], 'wait');
  assert.equal(asked['x_request_id']?.['string_param'], 'r-7');
  const silent = decodeStreamAnswer(writeStreamAnswer(answer(y), all, undefined)).infer_response?.parameters ?? {};
  assert.deepEqual(Object.keys(silent), ['triton_final_response']);
});
