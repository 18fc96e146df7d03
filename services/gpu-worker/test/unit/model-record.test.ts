import assert from 'node:assert/strict';
import { test } from 'node:test';
import { derivedDeclaration, type ModelDeclaration } from '../../src/core/model-declaration.ts';
import { type ServedEntry, toModelRecord, toServedModel } from '../../src/core/model-record.ts';

const x = { name: 'x', datatype: 'FP32' as const, dims: [1] };
const graph = { maxBatchSize: 8, inputs: [x], outputs: [x], requestInputs: [x], feeds: [x], fetches: [x] };
const warmed = (one: number, full: number) => [
  { rows: 1, runMs: one },
  { rows: 8, runMs: full },
];

/** An instance that has loaded `variants` of a model that declares int8 (0.91), lite (0.9) and tiny (0.7). */
function entry(variants: string[], over: Partial<ModelDeclaration> = {}): ServedEntry {
  const declaration: ModelDeclaration = {
    ...derivedDeclaration('m'),
    quality: 0.92,
    variants: [
      { name: 'int8', quality: 0.91, parameters: {} },
      { name: 'lite', quality: 0.9, parameters: {} },
      { name: 'tiny', quality: 0.7, parameters: {} },
    ],
    degrade: { to: ['int8', 'lite', 'tiny'], qualityFloor: 0.85, optOut: false },
    ...over,
  };
  const loaded = variants.map((variant) => ({ variant, provider: 'cpu', warmed: warmed(1, 2) }));
  const versions = [{ version: '1', graph, provider: 'cpu', warmed: warmed(4, 16), variants: loaded }];
  return { declaration, versions, instances: 1, runLimitMs: 1_000, generation: 3, unloaded: false, loadedBy: '' };
}

test('the catalogue has the quality of each variant, and those that may stand in are above the floor', () => {
  const record = toModelRecord(entry(['int8', 'lite', 'tiny']));
  assert.equal(record.quality, 0.92);
  assert.deepEqual(record.variants, [
    { name: 'int8', quality: 0.91 },
    { name: 'lite', quality: 0.9 },
    { name: 'tiny', quality: 0.7 },
  ]);
  assert.deepEqual([record.degradeTo, record.degradeOptOut], [['int8', 'lite'], false]);
});

test('a variant that could not be loaded is neither in the catalogue nor stands in', () => {
  const record = toModelRecord(entry(['lite']));
  assert.deepEqual(record.variants, [{ name: 'lite', quality: 0.9 }]);
  assert.deepEqual(record.degradeTo, ['lite']);
  const none = toModelRecord(entry([]));
  assert.deepEqual([none.variants, none.degradeTo, none.degradeOptOut], [undefined, undefined, undefined]);
});

test('variants of a model that does not degrade can be asked for, but never stand in', () => {
  const { degrade: _, ...declaration } = entry([]).declaration;
  const record = toModelRecord({ ...entry(['lite']), declaration });
  assert.deepEqual([record.variants?.length, record.degradeTo], [1, undefined]);
});

test('rules of the queue stand in the catalogue as they were declared', () => {
  const queueRules = { preferredBatchSizes: [4], lengthBuckets: [16, 64], slowStartMs: 30_000, limits: { rate: 5 } };
  const { preferredBatchSizes, lengthBuckets, slowStartMs, limits } = toModelRecord(entry([], { queueRules }));
  assert.deepEqual({ preferredBatchSizes, lengthBuckets, slowStartMs, limits }, queueRules);
});

test('a batcher hears what each variant costs beside the full model', () => {
  const { runMsOne, runMsFull, variants } = toServedModel(entry(['lite']));
  assert.deepEqual([runMsOne, runMsFull], [4, 16]);
  assert.deepEqual(variants, [{ variant: 'lite', runMsOne: 1, runMsFull: 2 }]);
});

test('a batcher hears which executors it are, the catalogue that a model is leaving', () => {
  assert.equal(toServedModel(entry([])).generation, 3);
  assert.equal(toModelRecord(entry([])).unloaded, undefined);
  assert.equal(toModelRecord({ ...entry([]), unloaded: true }).unloaded, true);
});

test('the catalogue has the names of the classes, unless they are too many', () => {
  const named = (labels: string[]) =>
    toModelRecord(entry([], { postprocess: { kind: 'label', scores: 'scores', output: 'label', labels } })).labels;
  assert.deepEqual(named(['no', 'yes']), { scores: ['no', 'yes'] });
  assert.equal(named(Array(1_001).fill('a')), undefined);
});
