import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { readModelYaml } from '../../src/adapters/model-yaml.ts';
import { makeRepository } from '../support/fixtures.ts';

async function read(yaml: string) {
  await using models = await makeRepository({ m: { yaml } });
  return readModelYaml(join(models.dir, 'm'));
}
const faultOf = (text: string): Promise<string> =>
  read(text).then(
    () => 'no fault',
    (error: Error) => error.message,
  );

test('variants have a quality, and may have a preprocessing and parameters of their own', async () => {
  const { quality, variants, degrade } = await read(`
quality: 0.92
variants:
  - { name: int8, quality: 0.915 }
  - name: lite
    quality: 0.9
    preprocess: { kind: hashed_ngrams, input: t, output: ids, buckets: 16, max_ids: 8, word_ngrams: [1, 1], char_ngrams: [1, 0], lowercase: true }
    parameters: { base_ms: 10 }
degrade: { to: [int8, lite], quality_floor: 0.85, opt_out: false }
`);
  const spec = { buckets: 16, maxIds: 8, wordNgrams: [1, 1], charNgrams: [1, 0], lowercase: true };
  assert.equal(quality, 0.92);
  assert.deepEqual(variants, [
    { name: 'int8', quality: 0.915, parameters: {} },
    {
      name: 'lite',
      quality: 0.9,
      preprocess: { kind: 'hashed_ngrams', input: 't', output: 'ids', spec },
      parameters: { base_ms: 10 },
    },
  ]);
  assert.deepEqual(degrade, { to: ['int8', 'lite'], qualityFloor: 0.85, optOut: false });
});

test('without a word about it a model has no variants, and callers may refuse those it has', async () => {
  const plain = await read('name: m');
  assert.deepEqual([plain.variants, plain.degrade, plain.quality], [[], undefined, undefined]);
  const { degrade } = await read('variants: [{ name: lite }]\ndegrade: { to: [lite] }');
  assert.deepEqual(degrade, { to: ['lite'], qualityFloor: 0, optOut: true });
});

test('a variant that cannot be, or cannot stand in, is a fault that names field, expected and got', async () => {
  const two = 'variants: [{ name: int8 }, { name: lite, quality: 0.9 }]';
  const cases: [string, RegExp][] = [
    ['quality: 91.5', /quality: expected .*1.* got 91\.5/],
    ['variants: [{ name: ../other }]', /variants\[0\]\.name: expected .* got "\.\.\/other"/],
    ['variants: [{ name: a }, { name: a }]', /variants\[1\]\.name: expected a name of its own, got "a" again/],
    [`${two}\ndegrade: { to: [tiny] }`, /degrade\.to\[0\]: expected one of the variants "int8", "lite", got "tiny"/],
    [`${two}\ndegrade: { to: [lite, lite] }`, /degrade\.to\[1\]: expected each variant once, got "lite" again/],
    [
      `${two}\ndegrade: { to: [int8, lite], quality_floor: 0.8 }`,
      /degrade\.to\[0\]: expected a variant with a quality, as quality_floor is 0\.8, got "int8" without one/,
    ],
    ['degrade: { to: [lite] }', /degrade\.to\[0\]: expected one of the variants \(none\), got "lite"/],
  ];
  for (const [text, expected] of cases) assert.match(await faultOf(text), expected);
});
