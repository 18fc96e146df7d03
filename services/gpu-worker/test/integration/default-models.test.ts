import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { tensorsCodec } from '@spillway/contracts/messages';
import {
  type DataTypeName,
  dataTypeName,
  elementCount,
  type NumericType,
  numericView,
  packBytes,
  unpackBytes,
} from '@spillway/contracts/tensor';
import { REPO } from '@spillway/testing/find-binary';
import { itemsOf, makeBatch } from '../support/batches.ts';
import { startPool, type TestPool } from '../support/pool.ts';
import type { TestTensor } from '../support/tensors.ts';

type JsonTensor = { datatype: DataTypeName; shape: number[]; data: readonly (number | string)[] };
type Case = { inputs: Record<string, JsonTensor>; outputs: Record<string, JsonTensor> };
/** `labels`: what each lighter variant answered to the first cases. */
type Expected = { cases: Case[]; labels?: Record<string, string[]> };

const MODELS = join(REPO, 'models');
const TOLERANCE = 1e-5;

let pool: TestPool;
before(async () => {
  pool = await startPool(MODELS);
});
after(() => pool[Symbol.asyncDispose]());

function toTensor([name, { datatype, shape, data }]: [string, JsonTensor]): TestTensor {
  if (datatype === 'BYTES')
    return { name, datatype, shape, data: packBytes(data.map((text) => Buffer.from(String(text)))) };
  const array = numericView(
    datatype,
    new Uint8Array(elementCount(shape) * 8).subarray(0, elementCount(shape) * (datatype === 'INT64' ? 8 : 4)),
  );
  for (let i = 0; i < data.length; i += 1) array[i] = data[i] as number;
  return { name, datatype, shape, data: new Uint8Array(array.buffer, array.byteOffset, array.byteLength) };
}

function toJson(bytes: Uint8Array): Record<string, JsonTensor> {
  const entries = tensorsCodec.decode(bytes).tensors.map(({ name, datatype: id, shape, data }) => {
    const datatype = dataTypeName(id);
    const elements =
      datatype === 'BYTES'
        ? unpackBytes(data, elementCount(shape), name).map((element) => Buffer.from(element).toString())
        : [...numericView(datatype as NumericType, data)].map(Number);
    return [name, { datatype, shape: [...shape], data: elements }] as [string, JsonTensor];
  });
  return Object.fromEntries(entries);
}

function assertClose(got: Record<string, JsonTensor>, expected: Record<string, JsonTensor>, at: string): void {
  for (const [name, wanted] of Object.entries(expected)) {
    const tensor = got[name];
    assert.deepEqual([tensor?.datatype, tensor?.shape], [wanted.datatype, wanted.shape], `${at} ${name}`);
    for (const [i, value] of wanted.data.entries()) {
      const answer = tensor?.data[i];
      if (typeof value === 'string') assert.equal(answer, value, `${at} ${name}[${i}]`);
      else
        assert.ok(
          Math.abs(Number(answer) - value) <= TOLERANCE * Math.max(1, Math.abs(value)),
          `${at} ${name}[${i}]: ${answer}, expected ${value}`,
        );
    }
  }
}

const withCases = readdirSync(MODELS).filter((model) => existsSync(join(MODELS, model, 'expected.json')));

const expectedOf = (model: string): Expected => JSON.parse(readFileSync(join(MODELS, model, 'expected.json'), 'utf8'));

/** Labels that a variant of intent gives to texts, in one batch. */
async function labelsOf(variant: string, texts: readonly string[]): Promise<string[]> {
  const text = (value: string) => toTensor(['text', { datatype: 'BYTES', shape: [1, 1], data: [value] }]);
  const batch = makeBatch(
    'intent',
    texts.map((value) => [text(value)]),
  );
  const ended = await pool.run({ ...batch, variant });
  assert.ok(ended.how === 'done');
  assert.deepEqual(
    ended.frames.map((frame) => frame.variant),
    [variant],
  );
  return itemsOf(ended.frames).map((item) => String(toJson(item.tensors)['label']?.data[0]));
}

/** Models whose inputs are joined from features get them from the gateway, not here. */
const isWhole = (model: string): boolean =>
  !readFileSync(join(MODELS, model, 'model.yaml'), 'utf8').includes('\nfeatures:');

for (const model of withCases.filter(isWhole)) {
  test(`${model} answers its committed cases as plain ONNX Runtime did, alone and in batches`, async () => {
    const { cases } = expectedOf(model);
    for (const [i, { inputs, outputs }] of cases.entries()) {
      const ended = await pool.run(makeBatch(model, [Object.entries(inputs).map(toTensor)]));
      const [item] = ended.how === 'done' ? itemsOf(ended.frames) : [];
      assert.equal(item?.errorMessage, '', `case ${i}`);
      assertClose(toJson(item!.tensors), outputs, `case ${i}`);
    }
    const together = await pool.run(
      makeBatch(
        model,
        cases.map(({ inputs }) => Object.entries(inputs).map(toTensor)),
      ),
    );
    const items = together.how === 'done' ? itemsOf(together.frames) : [];
    for (const [i, { outputs }] of cases.entries())
      assertClose(toJson(items[i]!.tensors), outputs, `case ${i} in a batch`);
  });
}

/** What anybody would say. */
const PLAIN = {
  'Can I add my card to Apple Pay?': 'apple_pay_or_google_pay',
  'I want to close my account for good': 'terminate_account',
  'What is the most I may top up in one month?': 'top_up_limits',
  'Contactless stopped working on my card': 'contactless_not_working',
  'Can I set up automatic top-ups when my balance is low?': 'automatic_top_up',
};

for (const variant of ['', 'int8', 'lite']) {
  test(`intent names plain intents with ${variant || 'its full model'}`, async () => {
    assert.deepEqual(await labelsOf(variant, Object.keys(PLAIN)), Object.values(PLAIN));
  });
}

test('lighter variants of intent answer as they did when their quality was measured', async () => {
  const { cases, labels = {} } = expectedOf('intent');
  assert.deepEqual(Object.keys(labels), ['int8', 'lite']);
  for (const [variant, wanted] of Object.entries(labels)) {
    const texts = cases.slice(0, wanted.length).map(({ inputs }) => String(inputs['text']?.data[0]));
    const got = await labelsOf(variant, texts);
    const other = wanted.filter((label, i) => got[i] !== label);
    // Scores may differ in their last digits between processors, which may turn a draw.
    assert.ok(other.length <= 1, `${variant}: ${other.length} of ${wanted.length} differ`);
  }
});

test('every default model is loaded with all its variants', () => {
  const warned = pool.loaded
    .filter(({ warning }) => warning !== '')
    .map(({ model, warning }) => `${model}: ${warning}`);
  assert.deepEqual(warned, []);
  const variants = pool.loaded.flatMap((loaded) => loaded.variants.map(({ variant }) => `${loaded.model}/${variant}`));
  assert.deepEqual(variants.sort(), ['intent/int8', 'intent/lite', 'simulated/lite']);
});

test('every default model is loaded', () => {
  assert.deepEqual(
    pool.loaded.filter(({ error }) => error !== '').map(({ model, error }) => `${model}: ${error}`),
    [],
  );
  assert.deepEqual(pool.loaded.map(({ model }) => model).sort(), withCases.sort());
});
