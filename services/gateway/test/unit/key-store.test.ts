import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadKeys } from '../../src/adapters/key-store.ts';

const folder = mkdtempSync(join(tmpdir(), 'spillway-keys-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const options = { allowAnonymous: false, epochMs: () => 0 };
function load(text: string) {
  const file = join(folder, 'keys.json');
  writeFileSync(file, text);
  return loadKeys(file, options);
}

test('a file of keys that cannot be used ends the start with the variable and what is wrong', () => {
  const record = { id: 'k1', sha256: 'ab'.repeat(32), tenant: 'acme', class: 'gold' };
  const faults: [load: () => unknown, message: RegExp][] = [
    [() => loadKeys(join(folder, 'none'), options), /GATEWAY_KEYS_FILE: expected a readable JSON file, got .*none/],
    [() => load('{'), /expected a readable JSON file/],
    [() => load('[]'), /GATEWAY_KEYS_FILE: expected \{"keys": \[\.\.\.\]\}/],
    [
      () => load(JSON.stringify({ keys: [record] })),
      /GATEWAY_KEYS_FILE: keys\[0\]\.class: expected vip, standard or bulk/,
    ],
  ];
  for (const [fails, message] of faults) assert.throws(fails, { name: 'ConfigError', exitCode: 78, message });
  assert.equal(load(JSON.stringify({ keys: [{ ...record, class: 'vip' }] })).records().length, 1);
});
