import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { defineConfig } from '../src/define-config.ts';
import { env } from '../src/env.ts';
import { configTable, isReadmeTableCurrent, updateReadmeTable } from '../src/print-table.ts';

const schema = defineConfig({
  service: 'cache',
  prefix: 'CACHE_',
  fields: {
    bytes: env.int('CACHE_BYTES', { default: 10, min: 1, doc: 'Small: a|b misses.' }),
    secret: env.string('CACHE_SECRET', { secret: true, default: 's3cret', doc: 'x' }),
    url: env.url('CACHE_URL', { doc: 'y' }),
  },
});

const TABLE = `| Variable | Expected | Default | Meaning |
| --- | --- | --- | --- |
| \`CACHE_BYTES\` | an integer ≥ 1 | \`10\` | Small: a\\|b misses. |
| \`CACHE_SECRET\` | a text | \`***\` | x |
| \`CACHE_URL\` | a URL | **required** | y |`;

/** Runs with a README of this text in a folder of its own. */
function withReadme(text: string, run: (path: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-config-'));
  const path = join(folder, 'README.md');
  writeFileSync(path, text);
  try {
    run(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('the table has a row for each variable, in order, and shows no secret', () => {
  assert.equal(configTable(schema), TABLE);
});

test('a README is updated between its marks only, and drift is seen until then', () => {
  withReadme('# Cache\n\n<!-- config:begin -->\nold\n<!-- config:end -->\n\nmore\n', (path) => {
    assert.equal(isReadmeTableCurrent(path, schema), false);
    assert.equal(updateReadmeTable(path, schema), true);
    assert.equal(isReadmeTableCurrent(path, schema), true);
    assert.equal(updateReadmeTable(path, schema), false);
    const marked = `<!-- config:begin -->\n${TABLE}\n<!-- config:end -->`;
    assert.equal(readFileSync(path, 'utf8'), `# Cache\n\n${marked}\n\nmore\n`);
  });
});

test('a README without marks is an error that names them', () => {
  withReadme('# Cache\n', (path) => {
    assert.throws(() => updateReadmeTable(path, schema), /expected <!-- config:begin -->/);
  });
});
