import assert from 'node:assert/strict';
import { test } from 'node:test';
import { placeModels } from '../../src/core/placement.ts';

const shared = (model: string, count = 0) => ({ model, count, own: false });

test('static models share every executor unless they ask for fewer instances', () => {
  assert.deepEqual(placeModels([shared('a'), shared('b', 1), shared('c', 1)], 2), [
    { name: 'shared-0', models: ['a', 'b'] },
    { name: 'shared-1', models: ['a', 'c'] },
  ]);
});

test('more instances than executors would only wait for each other: they are cut', () => {
  assert.deepEqual(placeModels([shared('a', 5)], 1), [{ name: 'shared-0', models: ['a'] }]);
});

test('a model with executors of its own gets as many as it has instances, at least one', () => {
  const own = (model: string, count: number) => ({ model, count, own: true });
  assert.deepEqual(
    placeModels([own('s', 2), own('t', 0)], 4).map((plan) => plan.name),
    ['s-0', 's-1', 't-0'],
  );
});

test('an executor without a model is not started', () => {
  assert.deepEqual(placeModels([shared('a', 1)], 3), [{ name: 'shared-0', models: ['a'] }]);
});
