import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveVersion, versionNumber } from '../../src/core/model-version.ts';
import { mlp } from './fixtures.ts';

const labelled = { ...mlp, versionLabels: { stable: '1', canary: '2', old: '0' } };

test('without a version the newest runs, digits are a version, anything else is a label', () => {
  assert.equal(resolveVersion(mlp, ''), '2');
  assert.equal(resolveVersion(mlp, '1'), '1');
  assert.equal(resolveVersion(labelled, 'stable'), '1');
  assert.equal(resolveVersion(labelled, 'canary'), '2');
});

test('what there is not is not found, and the error says what there is', () => {
  const refuses = (model: typeof mlp, asked: string, message: string) =>
    assert.throws(() => resolveVersion(model, asked), { code: 'MODEL_NOT_FOUND', message });
  refuses(mlp, '9', 'model "mlp" has no such version; it has 1, 2');
  refuses(mlp, 'beta', 'model "mlp" has no such label; it has none, and the versions 1, 2');
  const all = 'stable (1), canary (2), old (0)';
  refuses(labelled, 'beta', `model "mlp" has no such label; it has ${all}, and the versions 1, 2`);
  refuses(labelled, 'constructor', `model "mlp" has no such label; it has ${all}, and the versions 1, 2`);
});

test('a label of a version that cannot serve now is not found, too', () => {
  const message = 'model "mlp" cannot serve version 0, which the label stands for; it has 1, 2';
  assert.throws(() => resolveVersion(labelled, 'old'), { code: 'MODEL_NOT_FOUND', message });
  assert.deepEqual(
    ['1', 'stable', 'old', 'beta', '3'].map((asked) => versionNumber(labelled, asked)),
    ['1', '1', undefined, undefined, undefined],
  );
});

test('without any version a model is away, not unknown', () => {
  assert.throws(() => resolveVersion({ ...mlp, versions: [] }, ''), { code: 'UNAVAILABLE', reason: 'no_version' });
});
