import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '@spillway/testing/until';
import { itemsOf, makeBatch } from '../support/batches.ts';
import { makeRepository } from '../support/fixtures.ts';
import { startPool, type TestPool } from '../support/pool.ts';
import { decodeFp32, fp32 } from '../support/tensors.ts';

const TENSORS = `
input: [{ name: x, data_type: TYPE_FP32, dims: [1] }]
output: [{ name: y, data_type: TYPE_FP32, dims: [1] }]`;

let models: Awaited<ReturnType<typeof makeRepository>>;
let pool: TestPool;
before(async () => {
  models = await makeRepository({
    whole: { graph: 'linear', variants: { same: 'linear' }, yaml: 'variants: [{ name: same }, { name: gone }]' },
    odd: {
      graph: 'linear',
      variants: { other: 'lookup', broken: Buffer.from('no graph'), bf16: 'bfloat16' },
      yaml: 'variants: [{ name: other }, { name: broken }, { name: bf16 }]',
    },
    paced: {
      yaml: `backend: simulated\nmax_batch_size: 4${TENSORS}
parameters: { base_ms: 60, per_row_ms: 0 }
variants: [{ name: lite, parameters: { base_ms: 1 } }, { name: never, parameters: { base_ms: -1 } }]`,
    },
  });
  pool = await startPool(models.dir);
});
after(async () => {
  await pool?.[Symbol.asyncDispose]();
  await models?.[Symbol.asyncDispose]();
});

const loadedOf = (model: string) => pool.loaded.find((loaded) => loaded.model === model)!;

async function run(model: string, variant: string, row: number[]) {
  const batch = makeBatch(model, [[fp32('x', [1, row.length], row)]]);
  const ended = await pool.run({ ...batch, variant });
  assert.ok(ended.how === 'done', ended.how);
  const [item] = itemsOf(ended.frames);
  return { item: item!, variant: ended.frames[0]?.variant, runMs: ended.result.runMs };
}

test('one instance runs the variant that the batch names, and the reply says which it was', async () => {
  const full = await run('whole', '', [1, 2, 3]);
  const same = await run('whole', 'same', [1, 2, 3]);
  assert.deepEqual([full.variant, same.variant], ['', 'same']);
  assert.deepEqual(decodeFp32(same.item.tensors), decodeFp32(full.item.tensors));
  assert.equal(same.item.errorCode, '');
});

test('every variant is warmed at every batch size before the model serves', () => {
  const { warmed, variants } = loadedOf('whole');
  const sizes = variants.map((own) => [own.variant, own.provider, own.warmed.map(({ rows }) => rows)]);
  assert.deepEqual(sizes, [['same', 'cpu', warmed.map(({ rows }) => rows)]]);
});

test('a variant without a file is left out with a warning, and the model is served', async () => {
  assert.match(
    loadedOf('whole').warning,
    /variant "gone" is not served: expected a file 1\/gone\/model\.onnx, found none/,
  );
  assert.equal((await run('whole', 'gone', [1, 2, 3])).item.errorCode, 'MODEL_NOT_FOUND');
});

test('a variant that a client could tell by its tensors, or that does not load, is left out with the reason', async () => {
  const { error, warning, variants } = loadedOf('odd');
  assert.deepEqual([error, variants], ['', []]);
  assert.match(warning, /variant "other" is not served: expected the tensors of the full model .*"x".*, got .*"id"/);
  assert.match(warning, /variant "broken" is not served: /);
  assert.match(warning, /variant "bf16" is not served: .*bfloat16/);
  assert.equal((await run('odd', '', [1, 2, 3])).item.errorCode, '');
});

test('a simulated variant keeps the pace of its own parameters and returns the same', async () => {
  const [full, lite] = [await run('paced', '', [7]), await run('paced', 'lite', [7])];
  assert.ok(full.runMs >= 59, `full ${full.runMs} ms`);
  await until('a lighter run is shorter', async () => (await run('paced', 'lite', [7])).runMs < 50);
  assert.deepEqual(decodeFp32(lite.item.tensors), { y: [7] });
  const [own] = loadedOf('paced').variants;
  assert.deepEqual([own?.provider, own?.warmed.map(({ runMs }) => runMs)], ['simulated', [1, 1]]);
  assert.match(loadedOf('paced').warning, /variant "never" is not served: parameters\.base_ms: expected a number ≥ 0/);
});

test('the load says by how much the executor grew', () => {
  assert.ok(loadedOf('whole').memoryBytes > 0, 'the first load of an executor brings the runtime with it');
});
