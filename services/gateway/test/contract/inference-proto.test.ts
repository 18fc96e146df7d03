import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numericView } from '@spillway/contracts/tensor';
import { writeInferAnswer } from '../../src/core/oip-grpc-answer.ts';
import { emptyReceipt } from '../../src/core/receipt.ts';
import { fp32 } from '../unit/fixtures.ts';
import { decodeAnswer, encodeRequest, readBytes } from '../unit/oip-grpc-messages.ts';

/** Bytes as clients generated from Triton's own files write and read them. */
const RAW = [
  '0a0673696d706c65', // model_name "simple"
  '120131', // model_version "1"
  '1a0137', // id "7"
  '220e0a087072696f7269747912022802', // parameters priority: uint64_param 2
  '220e0a0774696d656f7574120310dc0b', // timeout: int64_param 1500
  '2a130a06494e505554301205494e5433321a020102', // inputs INPUT0, INT32, [1,2]
  '2a0d0a0154120542595445531a0101', // T, BYTES, [1]
  '321c0a074f55545055543012110a0b62696e6172795f6461746112020801', // outputs OUTPUT0 with a parameter
  '3a080100000002000000', // raw_input_contents
  '3a06020000006869',
].join('');
const TYPED = '0a0673696d706c652a240a06494e505554301205494e5433321a0201032a0f120d01feffffffffffffffff01ac02';
const ANSWER = [
  '0a036d6c70', // model_name "mlp"
  '120132', // model_version "2"
  '1a0137', // id "7"
  '221f0a117370696c6c7761795f6465677261646564120a1a086665617475726573', // parameters spillway_degraded "features"
  '2a0d0a01791204465033321a020101', // outputs y, FP32, [1,1]
  '32040000003f', // raw_output_contents 0.5
].join('');

test('a request of raw tensors is read as its client meant it', () => {
  const call = readBytes(Buffer.from(RAW, 'hex'));
  const { inputs, ...rest } = call;
  assert.deepEqual(rest, {
    model: 'simple',
    version: '1',
    clientId: '7',
    outputs: { names: ['OUTPUT0'], classes: undefined, batches: undefined },
    timeoutUs: 1_500,
    priority: 2,
    accept: undefined,
    receipt: undefined,
  });
  assert.deepEqual(
    inputs.map(({ name, datatype, shape, data }) => [name, datatype, shape, Buffer.from(data).toString('hex')]),
    [
      ['INPUT0', 'INT32', [1, 2], '0100000002000000'],
      ['T', 'BYTES', [1], '020000006869'],
    ],
  );
});

test('a request of typed elements is read as its client meant it', () => {
  const [input] = readBytes(Buffer.from(TYPED, 'hex')).inputs;
  assert.deepEqual([...(numericView('INT32', input?.data as Uint8Array) as Int32Array)], [1, -2, 300]);
});

test('an answer is written as its client reads it', () => {
  const receipt = emptyReceipt({ version: '2', cache: 'bypass', degraded: 'features' });
  const answer = { model: 'mlp', outputs: [fp32('y', [1, 1], [0.5])], receipt };
  assert.equal(writeInferAnswer(answer, { clientId: '7', outputs: { names: [] } }).toString('hex'), ANSWER);
  assert.equal(decodeAnswer(Buffer.from(ANSWER, 'hex')).raw_output_contents[0]?.readFloatLE(), 0.5);
});

test('the published files write the same bytes', () => {
  const int_contents = [1, -2, 300];
  const inputs = [{ name: 'INPUT0', datatype: 'INT32', shape: [1, 3], contents: { int_contents } }];
  assert.equal(encodeRequest({ model_name: 'simple', inputs }).toString('hex'), TYPED);
});
