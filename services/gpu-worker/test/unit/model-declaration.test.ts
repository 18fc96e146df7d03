import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  batchBuckets,
  costRuleOf,
  declarationOf,
  derivedDeclaration,
  type Preprocess,
  selectVersions,
} from '../../src/core/model-declaration.ts';

test('versions are numbers: 10 is newer than 9', () => {
  assert.deepEqual(selectVersions(['9', '10', '2'], { kind: 'latest', count: 2 }), ['9', '10']);
  assert.deepEqual(selectVersions(['9', '10', '2'], { kind: 'all' }), ['2', '9', '10']);
  assert.deepEqual(selectVersions(['9', '10', '2'], { kind: 'specific', versions: ['2', '7'] }), ['2']);
});

test('buckets double up to the largest batch, which is one of them; a model that does not batch has one', () => {
  assert.deepEqual(batchBuckets(64), [1, 2, 4, 8, 16, 32, 64]);
  assert.deepEqual(batchBuckets(12), [1, 2, 4, 8, 12]);
  assert.deepEqual(batchBuckets(1), [1]);
  assert.deepEqual(batchBuckets(0), [1]);
});

test('text costs by its bytes, an entity id does not', () => {
  const declaration = derivedDeclaration('m');
  const text = { name: 't', datatype: 'BYTES' as const, dims: [1] };
  const number = { name: 'x', datatype: 'FP32' as const, dims: [1] };
  assert.equal(costRuleOf(declaration, [number]), 'rows');
  assert.equal(costRuleOf(declaration, [number, text]), 'bytes/4');
  assert.equal(costRuleOf({ ...declaration, features: { entity: 't', tensors: [] } }, [number, text]), 'rows');
  assert.equal(costRuleOf({ ...declaration, costRule: 'rows' }, [text]), 'rows');
});

test('a variant is the model but for what it declares itself', () => {
  const preprocess = (buckets: number): Preprocess => ({
    kind: 'hashed_ngrams',
    input: 'text',
    output: 'ids',
    spec: { buckets, maxIds: 8, wordNgrams: [1, 1], charNgrams: [1, 0], lowercase: true },
  });
  const model = { ...derivedDeclaration('m'), preprocess: preprocess(64), parameters: { base_ms: 40, jitter: 0.1 } };
  const lite = declarationOf(model, { name: 'lite', preprocess: preprocess(16), parameters: { base_ms: 10 } });
  assert.deepEqual(lite, { ...model, preprocess: preprocess(16), parameters: { base_ms: 10, jitter: 0.1 } });
  assert.deepEqual(declarationOf(model, { name: 'int8', parameters: {} }), model);
});
