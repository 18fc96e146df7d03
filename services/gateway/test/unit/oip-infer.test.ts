import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numericView, packBytes } from '@spillway/contracts/tensor';
import { readJobLine } from '../../src/core/job-line.ts';
import { readInferCall, writeInferAnswer } from '../../src/core/oip-infer.ts';
import type { Answer, TensorValue } from '../../src/core/request.ts';
import { fp32 } from './fixtures.ts';

const read = (body: unknown, headerLength?: number) => readInferCall(Buffer.from(JSON.stringify(body)), headerLength);
const input = (over: object) => ({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2], ...over }] });
const values = (tensor: TensorValue | undefined) =>
  Array.from(
    numericView((tensor as TensorValue).datatype as 'FP32', (tensor as TensorValue).data) as Iterable<unknown>,
  );
const rejects = (body: unknown, message: RegExp, code = 'INVALID_REQUEST') =>
  assert.throws(
    () => (typeof body === 'string' ? readInferCall(Buffer.from(body), undefined) : read(body)),
    (error: { code: string; message: string }) => error.code === code && message.test(error.message),
  );
const answer = (outputs: TensorValue[], degraded = ''): Answer => ({
  model: 'mlp',
  outputs,
  receipt: {
    rung: 'run',
    cache: 'bypass',
    version: '1',
    variant: '',
    queueMs: 0,
    runMs: 0,
    batchId: 'b',
    batchRows: 1,
    closedBy: 'idle',
    worker: 'w',
    attempts: 1,
    degraded,
  },
});
const all = { names: [], binaryByDefault: false, binary: new Map<string, boolean>() };

test('data may be flat or nested like its shape', () => {
  assert.deepEqual(values(read(input({ shape: [2, 2], data: [1, 2, 3, 4] })).inputs[0]), [1, 2, 3, 4]);
  assert.deepEqual(
    values(
      read(
        input({
          shape: [2, 2],
          data: [
            [1, 2],
            [3, 4],
          ],
        }),
      ).inputs[0],
    ),
    [1, 2, 3, 4],
  );
});

test('a shape of 64-bit data with a dimension beyond 2^53 is refused as such', () => {
  const body = '{"inputs":[{"name":"x","datatype":"INT64","shape":[1,18446744073709551616],"data":[1]}]}';
  assert.throws(() => readInferCall(Buffer.from(body), undefined), {
    code: 'INVALID_REQUEST',
    message: 'input "x": shape: expected integers ≥ 0, got [1,18446744073709552000]',
  });
});

test('64-bit integers beyond 2^53 keep every digit, both ways', () => {
  const text =
    '{"inputs":[{"name":"n","datatype":"INT64","shape":[2],"data":[9007199254740993,-9223372036854775808]}]}';
  const tensor = readInferCall(Buffer.from(text), undefined).inputs[0];
  assert.deepEqual(values(tensor), [9007199254740993n, -9223372036854775808n]);
  const { body } = writeInferAnswer(answer([tensor as TensorValue]), '', all);
  assert.match(String(body), /"data":\[9007199254740993,-9223372036854775808\]/);
});

test('a line of a batch of jobs is such a request with the names of its model and job, read once', () => {
  const tensor = '{"name":"n","datatype":"INT64","shape":[1],"data":[9007199254740993]}';
  const outputs = '"outputs":[{"name":"y"}],"parameters":{"timeout":2000}';
  const line = readJobLine(`{"model":"m","version":"2","job":"j-1","inputs":[${tensor}],${outputs}}`);
  assert.deepEqual(values(line.inputs[0]), [9007199254740993n]);
  assert.deepEqual(
    { ...line, inputs: [] },
    {
      ...{ model: 'm', version: '2', job: 'j-1', inputs: [], outputs: ['y'], timeoutMs: 2 },
    },
  );
  const refused: [string, RegExp][] = [
    ['"inputs":[]', /^model: expected/],
    ['"model":"m","inputs":[],"job":"a b"', /^job: expected/],
    ['"model":"m","inputs":[],"version":2', /^version: expected/],
    ['"model":"m"', /^inputs: expected/],
  ];
  for (const [members, message] of refused) {
    assert.throws(() => readJobLine(`{${members}}`), { code: 'INVALID_REQUEST', message });
  }
});

test('a value that does not fit its type is refused, never rounded or wrapped', () => {
  rejects(input({ data: [1, 1e39] }), /data\[1\]: expected a number that fits FP32/);
  rejects(input({ data: [1, 'a'] }), /data\[1\]/);
  rejects(input({ data: [1, null] }), /data\[1\]/);
  rejects(input({ datatype: 'UINT8', data: [1, 256] }), /data\[1\]: expected an integer that fits UINT8, got 256/);
  rejects(input({ datatype: 'INT32', data: [1, 1.5] }), /fits INT32, got 1.5/);
  rejects(input({ datatype: 'BOOL', data: [true, 1] }), /expected true or false/);
  rejects(input({ datatype: 'BYTES', data: ['a', 1] }), /expected a string/);
  rejects(input({ datatype: 'FP16', data: [1, 2] }), /binary tensor/);
});

test('faults of the body name the member', () => {
  rejects('{', /body: expected JSON/);
  rejects('[]', /body: expected a JSON object/);
  rejects({}, /inputs: expected an array/);
  rejects({ inputs: [{}] }, /inputs\[0\].name/);
  rejects(input({ datatype: 'FLOAT' }), /input "x": datatype: expected one of BOOL/);
  rejects(input({ shape: 'no' }), /input "x": shape/);
  rejects(input({ shape: [1, -2] }), /input "x": shape/);
  rejects(input({ data: [1] }), /data: expected 2 elements for shape \[1,2\], got 1/);
  rejects(input({ shape: [2, 2], data: [[1, 2], 3] }), /same nesting/);
  rejects({ ...input({}), id: 3 }, /id: expected a string/);
  rejects({ ...input({}), parameters: { timeout: -1 } }, /parameters.timeout/);
  rejects({ ...input({}), outputs: [{}] }, /outputs\[0\].name/);
});

test('null means absent', () => {
  const call = read({ ...input({ parameters: null }), id: null, parameters: null, outputs: null });
  assert.equal(call.clientId, '');
  assert.equal(call.timeoutUs, undefined);
});

test('binary tensors take their bytes from behind the JSON, in its order', () => {
  const json = Buffer.from(
    JSON.stringify({
      inputs: [
        { name: 'x', datatype: 'FP32', shape: [1, 2], parameters: { binary_data_size: 8 } },
        { name: 't', datatype: 'BYTES', shape: [1], parameters: { binary_data_size: 6 } },
      ],
    }),
  );
  const body = Buffer.concat([json, Buffer.from(Float32Array.of(1.5, -2).buffer), packBytes([Buffer.from('hi')])]);
  const { inputs } = readInferCall(body, json.length);
  assert.deepEqual(values(inputs[0]), [1.5, -2]);
  assert.deepEqual(
    Buffer.from((inputs[1] as TensorValue).data)
      .subarray(4)
      .toString(),
    'hi',
  );
  assert.throws(() => readInferCall(body.subarray(0, -1), json.length), /past the end of the body/);
  assert.throws(
    () => readInferCall(Buffer.concat([body, Buffer.alloc(1)]), json.length),
    /binary tensors after the JSON/,
  );
  assert.throws(() => readInferCall(json, json.length + 1), /at most/);
});

test('an output leaves as JSON or as bytes, as the request asks', () => {
  const y = fp32('y', [1, 2], [0.5, 2]);
  const json = writeInferAnswer(answer([y]), 'mine', all);
  assert.deepEqual(JSON.parse(String(json.body)), {
    model_name: 'mlp',
    model_version: '1',
    id: 'mine',
    outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 2], data: [0.5, 2] }],
  });
  const binary = writeInferAnswer(answer([y]), '', { ...all, binaryByDefault: true });
  assert.ok(Buffer.isBuffer(binary.body));
  assert.deepEqual([...binary.body.subarray(binary.headerLength)], [...y.data]);
});

test('what JSON cannot say is refused with the way out', () => {
  const nan = answer([fp32('y', [1], [Number.NaN])]);
  assert.throws(() => writeInferAnswer(nan, '', all), /NaN or infinity.*binary tensor/);
  const bytes = { name: 'b', datatype: 'BYTES' as const, shape: [1], data: packBytes([Uint8Array.of(0xff)]) };
  assert.throws(() => writeInferAnswer(answer([bytes]), '', all), /not UTF-8/);
});

test('only the outputs asked for are sent, and an unknown one is refused', () => {
  const both = answer([fp32('y', [1], [1]), fp32('z', [1], [2])]);
  const { body } = writeInferAnswer(both, '', { ...all, names: ['z'] });
  assert.deepEqual(
    (JSON.parse(String(body)) as { outputs: { name: string }[] }).outputs.map(({ name }) => name),
    ['z'],
  );
  assert.throws(() => writeInferAnswer(both, '', { ...all, names: ['q'] }), /no output "q"; it has y, z/);
});

test('a degraded answer says so in its parameters', () => {
  const { body } = writeInferAnswer(answer([fp32('y', [1], [1])], 'features'), '', all);
  assert.match(String(body), /"parameters":{"spillway_degraded":"features"}/);
});

test('deep nesting and prototype keys do no harm', () => {
  const deep = `{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":${'['.repeat(50_000)}1${']'.repeat(50_000)}}]}`;
  rejects(deep, /levels of nesting|body/);
  readInferCall(Buffer.from('{"__proto__":{"polluted":1},"inputs":[]}'), undefined);
  assert.equal(({} as { polluted?: number }).polluted, undefined);
});
