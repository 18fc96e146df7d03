import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { z } from 'zod';
import { ConfigError } from '../src/config-error.ts';
import { readYamlFile } from '../src/yaml-file.ts';

const schema = z.strictObject({
  max_batch_size: z.int().min(0),
  dynamic_batching: z
    .strictObject({ max_queue_delay_microseconds: z.int().min(0).max(10_000_000).default(0) })
    .optional(),
  kind: z.enum(['cpu', 'gpu']).default('cpu'),
  inputs: z.array(z.strictObject({ name: z.string().regex(/^\w+$/).max(3), dims: z.array(z.int()) })).default([]),
  weights: z.record(z.string(), z.number().positive()).default({}),
});

const folder = mkdtempSync(join(tmpdir(), 'spillway-yaml-'));
after(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'model.yaml');

function load(text: string) {
  writeFileSync(path, text);
  return readYamlFile(path, schema);
}

function faultsOf(text: string): string[] {
  try {
    load(text);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message.split('\n');
  }
  return assert.fail('was accepted');
}

test('a good file is what the schema says, with its defaults', () => {
  const model = load('max_batch_size: 8\ninputs:\n  - {name: x, dims: [-1, 64]}\n');
  const size: number = model.max_batch_size;
  assert.equal(size, 8);
  assert.deepEqual(model.inputs, [{ name: 'x', dims: [-1, 64] }]);
  assert.equal(model.kind, 'cpu');
});

test('every fault names its place, what was expected with its bounds, and what came', () => {
  const text = `
max_batch_size: "x"
dynamic_batching: {max_queue_delay_microseconds: -1}
kind: tpu
inputs:
  - {name: "a b c d", dims: 3}
weights: {full: 0, lite: [1]}
`;
  assert.deepEqual(faultsOf(text), [
    'model.yaml: max_batch_size: expected integer ≥ 0, got "x"',
    'model.yaml: dynamic_batching.max_queue_delay_microseconds: expected integer ≥ 0 ≤ 10000000, got -1',
    'model.yaml: kind: expected one of "cpu", "gpu", got "tpu"',
    'model.yaml: inputs[0].name: expected text of ≤ 3 characters like ^\\w+$, got "a b c d"',
    'model.yaml: inputs[0].dims: expected list, got 3',
    'model.yaml: weights.full: expected number > 0, got 0',
    'model.yaml: weights.lite: expected number > 0, got a list of 1',
  ]);
});

test('a misspelt member is a fault that names the one meant', () => {
  assert.deepEqual(faultsOf('max_batch_sise: 8\nmax_batch_size: 8\n'), [
    'model.yaml: max_batch_sise: unknown member; did you mean max_batch_size?',
  ]);
});

test('an empty file is a file without its members', () => {
  assert.deepEqual(faultsOf(''), ['model.yaml: expected mapping, got null']);
});

test('text that is no YAML, a member given twice and a flood of aliases are refused', () => {
  assert.match(faultsOf('a: [1, 2')[0]!, /^model\.yaml: expected YAML, got /);
  assert.match(faultsOf('max_batch_size: 1\nmax_batch_size: 2\n')[0]!, /expected YAML, got .*unique/);
  const levels = Array.from({ length: 9 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i},`.repeat(9)}]`);
  assert.match(faultsOf(`l0: &l0 [x]\n${levels.join('\n')}\n`)[0]!, /expanded aliases/);
});

test('a file that is not there, or is far too large, is a fault too', () => {
  assert.throws(
    () => readYamlFile(join(folder, 'none.yaml'), schema),
    /none\.yaml: expected a readable file, got ENOENT/,
  );
  assert.match(faultsOf(`# ${'x'.repeat(1_100_000)}`)[0]!, /expected at most 1048576 bytes/);
});

test('a rule of the schema itself tells its own text', () => {
  writeFileSync(path, 'a: 1\nb: 2\n');
  const pair = z
    .object({ a: z.int(), b: z.int() })
    .refine(({ a, b }) => a > b, { error: 'expected a > b', path: ['a'] });
  assert.throws(() => readYamlFile(path, pair), /^ConfigError: model\.yaml: a: expected a > b$/);
});
