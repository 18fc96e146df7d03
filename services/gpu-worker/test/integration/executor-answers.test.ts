import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import type { ReplyItem } from '@spillway/contracts/messages';
import { DATA_TYPES, type DataTypeName } from '@spillway/contracts/tensor';
import type * as Ort from 'onnxruntime-node';
import { fp32Of, itemsOf, makeBatch, outputOf } from '../support/batches.ts';
import { fixture, makeRepository } from '../support/fixtures.ts';
import { startPool, type TestPool } from '../support/pool.ts';
import { fp32, int64, type TestTensor, texts } from '../support/tensors.ts';

/** The plain runtime, in this process: what the executor's answers are held against. */
Reflect.deleteProperty(globalThis, 'Float16Array'); // as the executor does
const ort = createRequire(import.meta.url)('onnxruntime-node') as typeof Ort;

let repository: Awaited<ReturnType<typeof makeRepository>>;
let pool: TestPool;

before(async () => {
  repository = await makeRepository({
    linear: { graph: 'linear' },
    'unnamed-batch': { graph: 'unnamed-batch' },
    'fixed-batch': { graph: 'fixed-batch' },
    lookup: { graph: 'lookup' },
    'every-type': { graph: 'every-type' },
    'scalar-output': { graph: 'scalar-output' },
    bfloat16: { graph: 'bfloat16' },
    'external-data': { graph: 'external-data' },
    garbage: { graph: Buffer.from('no model at all') },
    cut: { graph: fixture('every-type').subarray(0, 700) },
    large: { graph: Buffer.alloc(2 << 20) },
    mismatch: { graph: 'linear', yaml: 'input: [{ name: x, data_type: TYPE_FP32, dims: [4] }]' },
  });
  pool = await startPool(repository.dir, { maxFileBytes: 1 << 20 });
});
after(async () => {
  await pool[Symbol.asyncDispose]();
  await repository[Symbol.asyncDispose]();
});

async function answers(model: string, requests: readonly TestTensor[][]): Promise<ReplyItem[]> {
  const ended = await pool.run(makeBatch(model, requests));
  assert.equal(ended.how, 'done');
  return ended.how === 'done' ? itemsOf(ended.frames) : [];
}

/** Numbers of one output. */
async function plain(name: string, feeds: Record<string, Ort.Tensor>, output: string): Promise<number[]> {
  const session = await ort.InferenceSession.create(fixture(name));
  return [...((await session.run(feeds))[output] as Ort.Tensor & { data: Float32Array }).data];
}

const graphOf = (model: string) => JSON.parse(pool.loaded.find((loaded) => loaded.model === model)?.graph || '{}');

test('what is wrong with a model is said, and the other models are served', () => {
  const errors = new Map(pool.loaded.map(({ model, error }) => [model, error]));
  assert.match(errors.get('bfloat16') ?? '', /got bfloat16; onnxruntime-node cannot exchange/);
  assert.match(errors.get('external-data') ?? '', /expected all weights inside the file/);
  assert.match(errors.get('garbage') ?? '', /expected an ONNX model/);
  assert.match(errors.get('cut') ?? '', /cut off/);
  assert.match(errors.get('large') ?? '', /expected a file of at most 1048576 bytes, got 2097152/);
  assert.match(errors.get('mismatch') ?? '', /input\[0\]\.dims: expected \[3\] as in the graph, got \[4\]/);
  for (const model of ['linear', 'unnamed-batch', 'fixed-batch', 'lookup', 'every-type', 'scalar-output'])
    assert.equal(errors.get(model), '', model);
});

test('declarations are derived from the graphs', () => {
  assert.equal(graphOf('linear').maxBatchSize, 32);
  assert.deepEqual(graphOf('linear').inputs, [{ name: 'x', datatype: 'FP32', dims: [3] }]);
  assert.equal(graphOf('unnamed-batch').maxBatchSize, 32);
  assert.equal(graphOf('fixed-batch').maxBatchSize, 0);
  assert.deepEqual(graphOf('fixed-batch').inputs, [{ name: 'Input3', datatype: 'FP32', dims: [1, 1, 8, 8] }]);
  assert.equal(graphOf('scalar-output').maxBatchSize, 0);
});

test('every batch bucket is warmed before a model serves', () => {
  const rowsOf = (model: string) =>
    pool.loaded.find((loaded) => loaded.model === model)?.warmed.map(({ rows }) => rows);
  assert.deepEqual(rowsOf('linear'), [1, 2, 4, 8, 16, 32]);
  assert.deepEqual(rowsOf('fixed-batch'), [1]);
});

test('a batch of requests of several sizes answers as the plain runtime does each alone', async () => {
  const sizes = [1, 3, 2, 1];
  const requests = sizes.map((rows, i) => Array.from({ length: rows * 3 }, (_, j) => i + j / 16));
  const items = await answers(
    'linear',
    requests.map((values, i) => [fp32('x', [sizes[i] as number, 3], values)]),
  );
  for (const [i, values] of requests.entries()) {
    const shape = [sizes[i] as number, 3];
    const expected = await plain('linear', { x: new ort.Tensor('float32', Float32Array.from(values), shape) }, 'y');
    assert.deepEqual([...fp32Of(items[i], 'y')], expected);
  }
});

test('a graph with a fixed batch of 1 is run request by request and never concatenated', async () => {
  const images = [0, 1, 2].map((seed) => Float32Array.from({ length: 64 }, (_, i) => Math.sin(i + seed)));
  const items = await answers(
    'fixed-batch',
    images.map((image) => [fp32('Input3', [1, 1, 8, 8], [...image])]),
  );
  for (const [i, image] of images.entries()) {
    const feeds = { Input3: new ort.Tensor('float32', image, [1, 1, 8, 8]) };
    assert.deepEqual([...fp32Of(items[i], 'Plus214_Output_0')], await plain('fixed-batch', feeds, 'Plus214_Output_0'));
  }
});

test('every type comes back bit for bit, also from bytes at an odd place in memory', async () => {
  const numeric = Object.entries(DATA_TYPES).filter(([name]) => name !== 'BYTES' && name !== 'BF16');
  const request = (seed: number): TestTensor[] => [
    ...numeric.map(([datatype, { bytes }]): TestTensor => {
      const data = Uint8Array.from({ length: 2 * bytes }, (_, i) =>
        datatype === 'BOOL' ? (i + seed) % 2 : (i * 37 + seed * 11) % 120,
      );
      return { name: `in_${datatype.toLowerCase()}`, datatype: datatype as DataTypeName, shape: [1, 2], data };
    }),
    texts('in_bytes', [1, 2], [`Zürich ${seed}`, '日本']),
  ];
  const requests = [request(1), request(2), request(3)];
  const items = await answers('every-type', requests);
  for (const [i, tensors] of requests.entries()) {
    for (const { name, data } of tensors)
      assert.deepEqual(outputOf(items[i], name.replace('in_', 'out_')), Uint8Array.from(data), name);
  }
});

test('NaN goes in and out', async () => {
  const [item] = await answers('linear', [[fp32('x', [1, 3], [Number.NaN, 0, 0])]]);
  assert.ok(Number.isNaN(fp32Of(item, 'y')[0]));
});

test('one bad request among 32 fails alone, whether its bytes are wrong or the run fails on it', async () => {
  const ids = Array.from({ length: 31 }, (_, i) => [int64('id', [1, 1], [i % 8])]);
  for (const bad of [[int64('id', [1, 1], [99])], [{ ...int64('id', [1, 1], [0]), data: new Uint8Array(5) }]]) {
    const requests = [...ids.slice(0, 11), bad, ...ids.slice(11)];
    const items = await answers('lookup', requests);
    assert.deepEqual(
      items.filter((item) => item.errorCode !== '').map((item) => item.seq),
      [12],
    );
    assert.deepEqual([...fp32Of(items[3], 'y')], [6, 7]);
    assert.deepEqual([...fp32Of(items[31], 'y')], [12, 13]);
    assert.doesNotMatch(items[11]?.errorMessage ?? '', /onnxruntime_src|\//);
  }
});

test('text that the runtime would cut at a NUL, and bytes that are no text, are refused', async () => {
  const withText = (data: Uint8Array): TestTensor[] => {
    const zeros = Object.entries(DATA_TYPES).filter(([name]) => name !== 'BYTES' && name !== 'BF16');
    return [
      ...zeros.map(
        ([datatype, { bytes }]): TestTensor => ({
          name: `in_${datatype.toLowerCase()}`,
          datatype: datatype as DataTypeName,
          shape: [1, 1],
          data: new Uint8Array(bytes),
        }),
      ),
      { name: 'in_bytes', datatype: 'BYTES', shape: [1, 1], data },
    ];
  };
  const [nul, raw, good] = await answers('every-type', [
    withText(Uint8Array.of(3, 0, 0, 0, 65, 0, 66)),
    withText(Uint8Array.of(1, 0, 0, 0, 0xff)),
    withText(texts('', [1], ['fine']).data),
  ]);
  assert.deepEqual([nul?.errorCode, raw?.errorCode, good?.errorCode], ['INVALID_REQUEST', 'INVALID_REQUEST', '']);
});

test('an unknown version is answered as such, request by request', async () => {
  const batch = makeBatch('linear', [[fp32('x', [1, 3], [1, 2, 3])]]);
  const ended = await pool.run({ ...batch, variant: 'int8' });
  assert.equal(ended.how === 'done' && itemsOf(ended.frames)[0]?.errorCode, 'MODEL_NOT_FOUND');
  assert.equal((await pool.run({ ...makeBatch('linear', []), version: '9' })).how, 'not_started');
});

test('many batches of two models at once are all answered, each with its own rows', async () => {
  const runs = Array.from({ length: 60 }, async (_, i) => {
    if (i % 2 === 0) {
      const [item] = await answers('linear', [[fp32('x', [1, 3], [i, 0, 0])]]);
      assert.deepEqual([...fp32Of(item, 'y')], [i + 0.5, 2 * i - 0.5]);
    } else {
      const [item] = await answers('lookup', [[int64('id', [1, 1], [i % 8])]]);
      assert.deepEqual([...fp32Of(item, 'y')], [2 * (i % 8), 2 * (i % 8) + 1]);
    }
  });
  await Promise.all(runs);
});
