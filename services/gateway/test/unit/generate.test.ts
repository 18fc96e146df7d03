import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelRecord } from '@spillway/contracts/buckets';
import { numericView, packBytes, unpackBytes } from '@spillway/contracts/tensor';
import { readGenerateCall, writeGenerateAnswer } from '../../src/core/generate.ts';
import { emptyReceipt } from '../../src/core/receipt.ts';
import { validateInputs } from '../../src/core/validate.ts';
import { fp32, mlp } from './fixtures.ts';

const text: ModelRecord = {
  ...mlp,
  model: 'intent',
  inputs: [{ name: 'text', datatype: 'BYTES', dims: [1] }],
  outputs: [
    { name: 'label', datatype: 'BYTES', dims: [1] },
    { name: 'scores', datatype: 'FP32', dims: [2] },
  ],
};
const several: ModelRecord = {
  ...mlp,
  inputs: [
    { name: 'a', datatype: 'FP32', dims: [-1, 2] },
    { name: 'n', datatype: 'INT64', dims: [1] },
    { name: 'on', datatype: 'BOOL', dims: [] },
  ],
};
const matrix: ModelRecord = { ...mlp, inputs: [{ name: 'm', datatype: 'INT32', dims: [2, 2] }] };
const alone: ModelRecord = { ...mlp, maxBatchSize: 0, inputs: [{ name: 'x', datatype: 'FP32', dims: [-1] }] };

const read = (body: unknown, model: ModelRecord | undefined) =>
  readGenerateCall(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), model);
const refuses = (body: unknown, message: RegExp, model: ModelRecord = mlp) =>
  assert.throws(() => read(body, model), { code: 'INVALID_REQUEST', message });

test('members are the inputs, one row of each, in the shape that the model declares', () => {
  const call = read('{"id":"a","a":[[1,2],[3,4]],"n":9007199254740993,"on":true,"parameters":null}', several);
  assert.equal(validateInputs(call, several), 1);
  assert.equal(call.clientId, 'a');
  assert.deepEqual(
    call.inputs.map(({ name, shape }) => [name, shape]),
    [
      ['a', [1, 2, 2]],
      ['n', [1, 1]],
      ['on', [1]],
    ],
  );
  assert.deepEqual(numericView('INT64', call.inputs[1]!.data), BigInt64Array.of(9007199254740993n));
});

test('a model that does not batch gets no batch, an array may be flat where no dimension varies', () => {
  assert.deepEqual(read({ x: [1, 2, 3] }, alone).inputs[0]?.shape, [3]);
  assert.deepEqual(read({ x: 1 }, alone).inputs[0]?.shape, [1]);
  assert.deepEqual(read({ x: [] }, alone).inputs[0]?.shape, [0]);
  for (const m of [
    [1, 2, 3, 4],
    [
      [1, 2],
      [3, 4],
    ],
  ]) {
    const call = read({ m }, matrix);
    assert.deepEqual([validateInputs(call, matrix), call.inputs[0]?.shape], [1, [1, 2, 2]]);
  }
});

test('text_input is the only text of a model, whatever it is called, and then text_output is', () => {
  const call = read({ text_input: 'Wo ist meine Karte?' }, text);
  const [input] = call.inputs;
  assert.deepEqual([input?.name, input?.shape, call.textOutput], ['text', [1, 1], 'label']);
  assert.equal(String(unpackBytes(input!.data, 1, 'text')[0]), 'Wo ist meine Karte?');
  assert.equal(read({ text: 'a' }, text).textOutput, undefined);
  const [own] = text.inputs;
  assert.equal(read({ text_input: 'a' }, { ...text, inputs: [{ ...own!, name: 'text_input' }] }).textOutput, undefined);
  const two = { ...text, inputs: [own!, { ...own!, name: 'other' }] };
  refuses({ text_input: 'a' }, /^text_input: the model has no input of this name; it takes text \(BYTES/, two);
  refuses({ text_input: 'a', text: 'b' }, /^text: expected the input "text" once/, text);
});

test('parameters are those of any request, but for inputs', () => {
  const parameters = { priority: 2, timeout: 1500, temperature: 0.5, spillway_receipt: 'body', x: [1, 2] };
  const call = read({ parameters }, mlp);
  assert.deepEqual([call.priority, call.timeoutUs, call.receipt], [2, 1500, 'body']);
  assert.deepEqual(call.inputs[0]?.shape, [1, 2]);
  const named = { ...alone, inputs: [{ name: 'timeout', datatype: 'INT32' as const, dims: [1] }] };
  assert.deepEqual([read({ timeout: 7, parameters: { timeout: 9 } }, named).timeoutUs], [9]);
  refuses({ x: [1, 2], parameters: { x: [1, 2] } }, /^parameters\.x: expected the input "x" once/);
  refuses({ parameters: { stop: ['a'] } }, /^parameters\.stop: expected a string, a number or a boolean/);
  refuses({ parameters: [] }, /^parameters: expected an object/);
  refuses('{"parameters":{"__proto__":{"priority":3}}}', /^parameters\.__proto__: expected a string/);
});

test('what does not fit is named', () => {
  refuses({ x: [1, 2], y: 1 }, /^y: the model has no input of this name; it takes x \(FP32 \[2\]\)/);
  refuses('{"__proto__":1}', /^__proto__: the model has no input/);
  refuses({ x: 1 }, /input "x": data: expected 2 elements for shape \[1,2\], got 1/);
  refuses({ x: [[1, 2]] }, /^x: expected one row, an array of shape \[2\], got 2 levels/);
  refuses({ x: ['a', 'b'] }, /input "x": data\[0\]: expected a number that fits FP32/);
  refuses({ x: { a: 1 } }, /input "x": data\[0\]: expected a number/, alone);
  refuses({ id: 1, x: [1, 2] }, /^id: expected a string/);
  refuses('[]', /^body: expected a JSON object/);
  assert.throws(() => read({}, undefined), { code: 'MODEL_NOT_FOUND' });
  assert.throws(() => validateInputs(read({ x: null }, mlp), mlp), { message: /expected a tensor "x"/ });
});

test('the answer has outputs by name: one element plain, several flat', () => {
  const receipt = emptyReceipt({ version: '3', cache: 'bypass', degraded: '' });
  const label = { name: 'label', datatype: 'BYTES' as const, shape: [1, 1], data: packBytes([Buffer.from('a,"b\n')]) };
  const none = { name: 'none', datatype: 'INT64' as const, shape: [1, 0], data: new Uint8Array(0) };
  const answer = { model: 'intent', outputs: [label, fp32('scores', [1, 2], [0.5, 1]), none], receipt };
  const call = { ...read({ text_input: 'a' }, text), clientId: 'c"' };
  assert.equal(
    writeGenerateAnswer(answer, call, undefined),
    '{"id":"c\\"","model_name":"intent","model_version":"3","text_output":"a,\\"b\\n","scores":[0.5,1],"none":[]}',
  );
  const degraded = { ...answer, outputs: [label], receipt: { ...receipt, degraded: 'stale' } };
  assert.deepEqual(JSON.parse(writeGenerateAnswer(degraded, read({ text: 'a' }, text), undefined)), {
    model_name: 'intent',
    model_version: '3',
    parameters: { spillway_degraded: 'stale' },
    label: 'a,"b\n',
  });
});
