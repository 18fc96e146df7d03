import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ConfigError } from '@spillway/config/config-error';
import { loadViews, parseView } from '../../src/adapters/view-files.ts';

const GOOD = `view: monthly
entity: client_id
source: { kind: sqlite, table: monthly, key: client_id }
freshness_seconds: 1.5
timeout_ms: 20
fields:
  - { name: balance, type: float, default: 0.5 }
  - { name: late, type: bool, default: true }
`;

function faults(text: string): string[] {
  try {
    parseView(text, 'monthly.yaml');
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message.split('\n');
  }
  return [];
}

describe('view files', () => {
  it('reads a view, with times in ms and defaults as numbers', () => {
    assert.deepEqual(parseView(GOOD, 'monthly.yaml'), {
      view: 'monthly',
      entity: 'client_id',
      version: 1,
      source: { kind: 'sqlite', table: 'monthly', key: 'client_id', updated: 'updated_ms' },
      freshnessMs: 1_500,
      timeoutMs: 20,
      fields: [
        { name: 'balance', type: 'float', default: 0.5 },
        { name: 'late', type: 'bool', default: 1 },
      ],
    });
  });

  it('takes a freshness of 0 as never stale', () => {
    const view = parseView(GOOD.replace('freshness_seconds: 1.5', 'freshness_seconds: 0'), 'monthly.yaml');
    assert.equal(view.freshnessMs, Number.POSITIVE_INFINITY);
  });

  it('names the file and every field that is wrong, in one report', () => {
    const text = GOOD.replace('timeout_ms: 20', 'timeout_ms: 0')
      .replace('type: float', 'type: double')
      .concat('colour: red\n');
    const report = faults(text);
    assert.equal(report.length, 3);
    for (const line of report) assert.match(line, /^monthly\.yaml: /);
    assert.ok(report.some((line) => line.includes('timeout_ms')));
    assert.ok(report.some((line) => line.includes('fields[0].type')));
    assert.ok(report.some((line) => line.includes('colour')));
  });

  it('refuses a default that is not of its type, and a field that stands twice', () => {
    assert.match(
      faults(GOOD.replace('default: true', 'default: 3')).join(),
      /fields\[1\]\.default: expected true or false, got 3/,
    );
    assert.match(
      faults(GOOD.replace('name: late', 'name: balance')).join(),
      /fields\[1\]\.name: expected a name that no other/,
    );
  });

  it('refuses identifiers that could end a statement', () => {
    for (const bad of ['clients; DROP TABLE x', 'a"b', '1a', 'a.b', "a'b", '', 'x'.repeat(65)]) {
      assert.match(
        faults(GOOD.replace('table: monthly', `table: ${JSON.stringify(bad)}`)).join(),
        /source\.table: expected a letter/,
      );
      assert.match(
        faults(GOOD.replace('name: late', `name: ${JSON.stringify(bad)}`)).join(),
        /fields\[1\]\.name: expected a letter/,
      );
    }
    assert.match(faults(GOOD.replace('view: monthly', 'view: a:b')).join(), /view: expected 1 to 64 letters/);
  });

  it('says what is wrong with text that is not YAML, and expands no aliases', () => {
    assert.match(faults('view: [').join(), /^monthly\.yaml: /);
    assert.match(faults('a: &a [x]\nb: *a\n').join(), /^monthly\.yaml: /);
  });

  it('reports the faults of all files of a folder together, and two files with one view', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'spillway-views-'));
    try {
      await writeFile(join(dir, 'a.yaml'), GOOD);
      await writeFile(join(dir, 'b.yaml'), GOOD);
      await writeFile(join(dir, 'c.yaml'), GOOD.replace('timeout_ms: 20', 'timeout_ms: soon'));
      await writeFile(join(dir, 'notes.txt'), 'not a view');
      await assert.rejects(loadViews(dir), (error: Error) => {
        assert.match(error.message, /b\.yaml: view: "monthly" stands in another file too/);
        assert.match(error.message, /c\.yaml: timeout_ms/);
        return true;
      });
      await assert.rejects(loadViews(join(dir, 'none')), /expected a folder of views, got ENOENT/);
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  it('accepts the views that the service comes with', async () => {
    const views = await loadViews(new URL('../../views', import.meta.url).pathname);
    assert.deepEqual([...views.keys()].sort(), ['credit_monthly', 'credit_profile']);
  });
});
