import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRepository } from '../../src/adapters/model-store.ts';
import { makeRepository } from '../support/fixtures.ts';

async function read(yaml: string) {
  await using repository = await makeRepository({ m: { yaml, graph: 'linear', versions: ['1', '2', '10'] } });
  const { models, broken } = await readRepository(repository.dir);
  return { labels: models[0]?.declaration.versionLabels, error: broken[0]?.error };
}

test('labels stand for versions that are served', async () => {
  const yaml = 'version_policy: { all: {} }\nversion_labels: { stable: 2, canary: 10, old: 2 }';
  assert.deepEqual((await read(yaml)).labels, { stable: '2', canary: '10', old: '2' });
  assert.deepEqual(await read('version_labels: { stable: 10 }'), { labels: { stable: '10' }, error: undefined });
  assert.equal((await read('{}')).labels, undefined);
});

test('a label of a version that is not served is a fault of the model: its callers would find nothing', async () => {
  const { labels, error } = await read('version_labels: { stable: 10, canary: 11 }');
  assert.equal(labels, undefined);
  assert.equal(
    error,
    'version_labels.canary: expected a version that is here and that version_policy selects (10), got 11',
  );
  const { error: left } = await read('version_policy: { specific: { versions: [1, 2] } }\nversion_labels: { a: 10 }');
  assert.match(left ?? '', /version_labels\.a: .* selects \(1, 2\), got 10/);
});

test('a label is a name and no number, a version is a number', async () => {
  for (const label of ['7', 'a b']) {
    const { error = '' } = await read(`version_labels: { "${label}": 10 }`);
    assert.match(error, new RegExp(`version_labels\\.${label}: expected a label of 1 to 64 letters, .*, no number`));
  }
  assert.match(
    (await read('version_labels: { a: new }')).error ?? '',
    /version_labels\.a: expected integer.*got "new"/,
  );
});
