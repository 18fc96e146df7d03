import assert from 'node:assert/strict';
import { test } from 'node:test';
import { declaredBy, versionsOf } from '../../src/commands/models.ts';

const versions = ['1', '2', '10'].map((version) => ({ version, ready: true, reason: '' }));

test('a version is listed with its labels', () => {
  const declared = declaredBy({ versionLabels: { stable: '2', canary: '10', newest: '10' } });
  assert.equal(versionsOf({ versions, declared }), '1, 2 (stable), 10 (canary, newest)');
});

test('a model without labels, and one that nobody could describe, is listed with its versions alone', () => {
  assert.equal(versionsOf({ versions, declared: declaredBy({}) }), '1, 2, 10');
  assert.equal(versionsOf({ versions, declared: undefined }), '1, 2, 10');
});
