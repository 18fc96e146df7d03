import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DATA_TYPES, type DataTypeName, packBytes, unpackBytes } from '@spillway/contracts/tensor';
import { acceptedEncoding } from '../../src/core/accept-encoding.ts';
import { checkSelection } from '../../src/core/asked-outputs.ts';
import { topClasses } from '../../src/core/classification.ts';
import { readInferCall, writeInferAnswer } from '../../src/core/oip-infer.ts';
import { readRawCall } from '../../src/core/oip-raw.ts';
import { emptyReceipt } from '../../src/core/receipt.ts';
import { receiptParameters } from '../../src/core/receipt-fields.ts';
import type { TensorValue } from '../../src/core/request.ts';
import { validateInputs } from '../../src/core/validate.ts';
import { fp32, mlp } from './fixtures.ts';

const read = (body: unknown) => readInferCall(Buffer.from(JSON.stringify(body)), undefined);
const good = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] };
const refuses = (run: () => unknown, message: RegExp, code = 'INVALID_REQUEST') =>
  assert.throws(run, (error: { code: string; message: string }) => error.code === code && message.test(error.message));
const refusesBody = (more: object, message: RegExp, code?: string) =>
  refuses(() => read({ ...good, ...more }), message, code);
const texts = ({ data, shape, name }: TensorValue) =>
  unpackBytes(
    data,
    shape.reduce((a, b) => a * b, 1),
    name,
  ).map(String);

test('parameters are flat; null is absent; those with a meaning have their type', () => {
  refusesBody({ parameters: { a: { b: 1 } } }, /parameters.a: expected a string, a number or a boolean/);
  refusesBody({ parameters: { a: [1] } }, /parameters.a/);
  refusesBody({ parameters: { binary_data_output: 'yes' } }, /parameters.binary_data_output: expected true or false/);
  refusesBody({ parameters: { priority: '1' } }, /parameters.priority: expected an integer/);
  refusesBody({ parameters: { timeout: 1.5 } }, /parameters.timeout/);
  refusesBody({ parameters: { spillway_accept: 1 } }, /parameters.spillway_accept/);
  refusesBody({ parameters: { spillway_receipt: 'everywhere' } }, /parameters.spillway_receipt: expected none/);
  const call = read({ ...good, parameters: { priority: null, timeout: null, spillway_receipt: null, own: 'x' } });
  assert.deepEqual([call.priority, call.timeoutUs, call.receipt], [0, undefined, undefined]);
});

test('priority and timeout take all 64 bits', () => {
  const body = '"parameters":{"priority":18446744073709551615,"timeout":9223372036854775807}';
  const call = readInferCall(Buffer.from(`{${JSON.stringify(good).slice(1, -1)},${body}}`), undefined);
  assert.equal(call.priority, 2 ** 64);
  assert.equal(call.timeoutUs, 2 ** 63);
});

test('sequences, shared memory and reserved names are refused', () => {
  refusesBody({ parameters: { sequence_id: 7 } }, /parameters.sequence_id/, 'UNSUPPORTED');
  refusesBody({ parameters: { sequence_start: true } }, /parameters.sequence_start/, 'UNSUPPORTED');
  read({ ...good, parameters: { sequence_id: 0, sequence_end: false, triton_enable_empty_final_response: true } });
  read({ ...good, parameters: { sequence_id: '' } });
  refusesBody({ parameters: { triton_own: 1 } }, /parameters.triton_own.*reserved/);
  refusesBody({ parameters: { headers: 'x' } }, /parameters.headers.*reserved/);
  refusesBody({ parameters: { triton_enable_empty_final_response: 1 } }, /expected true or false/);
  const shared = { shared_memory_region: 'r', shared_memory_byte_size: 8 };
  refusesBody({ inputs: [{ ...good.inputs[0], parameters: shared }] }, /input "x": shared_memory/, 'UNSUPPORTED');
  refusesBody({ outputs: [{ name: 'y', parameters: shared }] }, /output "y": shared_memory/, 'UNSUPPORTED');
});

test('nested data must be nested like its shape', () => {
  const nested = (shape: number[], data: unknown) => read({ inputs: [{ name: 'x', datatype: 'FP32', shape, data }] });
  nested(
    [2, 2, 1],
    [
      [[1], [2]],
      [[3], [4]],
    ],
  );
  nested(
    [2, 2, 1],
    [
      [1, 2],
      [3, 4],
    ],
  ); // flat from the second dimension on
  nested([2, 0], [[], []]);
  nested([0, 2], []);
  refuses(() => nested([2, 2], [[1, 2, 3], [4]]), /nested like its shape \[2,2\], got 3 for 2/);
  refuses(
    () =>
      nested(
        [3, 2],
        [
          [1, 2, 3],
          [4, 5, 6],
        ],
      ),
    /got 2 for 3/,
  );
  refuses(() => nested([1], [[1]]), /at most 1 levels of nesting/);
});

test('text that is no UTF-8 is refused, never changed', () => {
  const body = Buffer.from('{"inputs":[{"name":"t","datatype":"BYTES","shape":[1],"data":["_"]}]}');
  const broken = Buffer.from(body);
  broken[body.indexOf('_')] = 0xff;
  refuses(() => readInferCall(broken, undefined), /body: expected JSON in UTF-8/);
  refuses(
    () => readInferCall(Buffer.from(body.toString().replace('_', '\\ud800')), undefined),
    /half a surrogate pair/,
  );
  const kept = readInferCall(Buffer.from(body.toString().replace('_', '\ufffd')), undefined);
  assert.deepEqual(texts(kept.inputs[0] as TensorValue), ['\ufffd']);
});

test('an output is named once, and there are at most 64', () => {
  refusesBody({ outputs: [{ name: 'y' }, { name: 'y' }] }, /outputs: expected "y" once/);
  refusesBody({ outputs: Array.from({ length: 65 }, (_, n) => ({ name: `y${n}` })) }, /at most 64/);
});

test('an unknown output is refused before the model runs', () => {
  refuses(() => checkSelection({ names: ['q'] }, mlp), /the model has no output "q"; it has y/);
  checkSelection({ names: ['q'] }, undefined);
});

test('data stands in one place', () => {
  const both = { ...good.inputs[0], parameters: { binary_data_size: 8 } };
  refusesBody({ inputs: [both] }, /either data or binary_data_size/);
});

test('FP16 and BF16 travel as bytes, and in JSON neither way', () => {
  for (const datatype of ['FP16', 'BF16'] as const) {
    const input = { name: 'h', datatype, shape: [1, 2], parameters: { binary_data_size: 4 } };
    const json = Buffer.from(JSON.stringify({ inputs: [input] }));
    const { inputs } = readInferCall(Buffer.concat([json, Buffer.from([1, 2, 3, 4])]), json.length);
    assert.deepEqual([...(inputs[0] as TensorValue).data], [1, 2, 3, 4]);
    const call = { ...good, inputs: [{ name: 'h', datatype, shape: [1, 2], data: [1, 2] }] };
    refuses(() => read(call), /send it as a binary tensor/);
    const answer = { model: 'm', outputs: inputs, receipt };
    const all = { names: [], binaryByDefault: false, binary: new Map() };
    refuses(() => writeInferAnswer(answer, '', all), /ask for it as a binary tensor/, 'UNSUPPORTED');
    const { body, headerLength } = writeInferAnswer(answer, '', { ...all, binaryByDefault: true });
    assert.deepEqual([...(body as Buffer).subarray(headerLength)], [1, 2, 3, 4]);
  }
});

const receipt = emptyReceipt({ version: '1', cache: 'bypass', degraded: '' });

test('classification gives the best n as value:index, ties to the lower index', () => {
  const scores = fp32('s', [2, 3], [0.25, 0.5, 0.5, Number.NaN, -1, 2]);
  const best = topClasses(scores, 2, true);
  assert.deepEqual(best.shape, [2, 2]);
  assert.deepEqual(texts(best), ['0.500000:1', '0.500000:2', '2.000000:2', '-1.000000:1']);
  assert.deepEqual(topClasses(scores, 9, true).shape, [2, 3]);
  assert.deepEqual(texts(topClasses(fp32('s', [2], [1, 2]), 2, false, ['no', 'yes'])), [
    '2.000000:1:yes',
    '1.000000:0:no',
  ]);
  assert.deepEqual(topClasses(scores, 1, false).shape, [1]);
  const data = new Uint8Array(BigInt64Array.of(7n, 2n ** 60n).buffer);
  assert.deepEqual(texts(topClasses({ name: 'n', datatype: 'INT64', shape: [2], data }, 1, false)), [
    '1152921504606846976:1',
  ]);
  assert.deepEqual(topClasses(fp32('s', [1, 0], []), 3, true).shape, [1, 0]);
});

test('a classified output is BYTES, and only outputs of numbers can be', () => {
  const { asked } = read({ ...good, outputs: [{ name: 'y', parameters: { classification: 1 } }] });
  checkSelection(asked, mlp);
  const { body } = writeInferAnswer({ model: 'mlp', outputs: [fp32('y', [2, 1], [3, 4])], receipt }, '', asked);
  const { outputs } = JSON.parse(String(body)) as { outputs: unknown[] };
  assert.deepEqual(outputs, [{ name: 'y', datatype: 'BYTES', shape: [2, 1], data: ['3.000000:0', '4.000000:0'] }]);
  const inText = { ...mlp, outputs: [{ name: 'y', datatype: 'BYTES' as const, dims: [1] }] };
  refuses(() => checkSelection(asked, inText), /expected an output of numbers, it is BYTES/);
  refusesBody(
    { outputs: [{ name: 'y', parameters: { classification: 0 } }] },
    /classification: expected an integer ≥ 1/,
  );
});

test('the receipt goes into the parameters of an answer that asked for it', () => {
  const of = { requestId: 'r-1', traceparent: '' };
  const answer = { model: 'mlp', outputs: [fp32('y', [1], [3])], receipt };
  const { body } = writeInferAnswer(answer, '', read(good).asked, receiptParameters(of, 'bulk', receipt));
  assert.deepEqual((JSON.parse(String(body)) as { parameters: object }).parameters, {
    x_request_id: 'r-1',
    spillway_rung: 'run',
    spillway_class: 'bulk',
    spillway_model_version: '1',
    spillway_cache: 'bypass',
  });
});

test('the raw form is one row of the only input', () => {
  const floats = Buffer.from(Float32Array.of(1.5, -2).buffer);
  const call = readRawCall(floats, mlp);
  assert.deepEqual(call.inputs, [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: floats }]);
  assert.equal(call.asked.binaryByDefault, true);
  assert.equal(validateInputs({ inputs: call.inputs }, mlp), 1);
  const of = (datatype: DataTypeName, dims: number[], maxBatchSize = 4) => ({
    ...mlp,
    maxBatchSize,
    inputs: [{ name: 'x', datatype, dims }],
  });
  assert.deepEqual(readRawCall(floats, of('FP32', [-1])).inputs[0]?.shape, [1, 2]);
  assert.deepEqual(readRawCall(floats, of('FP32', [2, -1], 0)).inputs[0]?.shape, [2, 1]);
  assert.deepEqual(readRawCall(Buffer.alloc(0), of('FP32', [-1])).inputs[0]?.shape, [1, 0]);
  const bytes = readRawCall(Buffer.from([0xff, 0]), of('BYTES', [1])).inputs[0];
  assert.deepEqual(bytes?.data, packBytes([Buffer.from([0xff, 0])]));
  refuses(() => readRawCall(floats.subarray(1), of('FP32', [-1])), /expected a multiple of 4 bytes/);
  refuses(() => readRawCall(floats, of('FP32', [-1, -1])), /at most one variable dimension/);
  refuses(() => readRawCall(floats, { ...mlp, inputs: [...mlp.inputs, ...mlp.inputs] }), /a model with one input/);
  refuses(() => readRawCall(floats, of('BYTES', [2])), /one BYTES element/);
  refuses(() => readRawCall(floats, undefined), /no such model/, 'MODEL_NOT_FOUND');
});

test('a dimension that the mesh cannot carry is refused, also beside one of size 0', () => {
  const model = { ...mlp, inputs: [{ name: 'x', datatype: 'FP32' as const, dims: [-1, -1] }] };
  const wide = { name: 'x', datatype: 'FP32' as const, shape: [1, 0, 2 ** 32], data: new Uint8Array() };
  refuses(() => validateInputs({ inputs: [wide] }, model), /shape: expected integers ≥ 0 of at most 32 bits/);
  assert.equal(validateInputs({ inputs: [{ ...wide, shape: [1, 0, 7] }] }, model), 1);
});

test('every datatype has its bytes, and zero of them for an empty tensor', () => {
  for (const datatype of Object.keys(DATA_TYPES) as DataTypeName[]) {
    const model = { ...mlp, inputs: [{ name: 'x', datatype, dims: [-1] }] };
    const empty = { name: 'x', datatype, shape: [1, 0], data: new Uint8Array() };
    assert.equal(validateInputs({ inputs: [empty] }, model), 1);
  }
});

test('an answer is compressed as the client asks, gzip before deflate', () => {
  const asked: [string, string | undefined][] = [
    ['gzip, deflate, br', 'gzip'],
    ['deflate', 'deflate'],
    ['deflate;q=1, gzip;q=0.5', 'gzip'],
    ['gzip;q=0, deflate', 'deflate'],
    ['gzip; q=0.000', undefined],
    ['br', undefined],
    ['*', undefined],
    ['', undefined],
  ];
  for (const [header, encoding] of asked) assert.equal(acceptedEncoding(header), encoding, header);
});
