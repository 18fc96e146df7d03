import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { KeyRecord } from '@spillway/contracts/buckets';
import { devKeyFile, ensureDevKey, keysFile, readDevKey } from '../../src/dev-key.ts';

function temporaryFolder() {
  const path = mkdtempSync(join(tmpdir(), 'spillway-key-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

const recordsIn = (path: string) => (JSON.parse(readFileSync(keysFile(path), 'utf8')) as { keys: KeyRecord[] }).keys;

test('the development key is made once, and only the SHA-256 of its secret is in the key file', () => {
  using folder = temporaryFolder();
  const key = ensureDevKey(folder.path);
  assert.match(key, /^sk_dev_[0-9A-Za-z]{43}$/);
  assert.equal(ensureDevKey(folder.path), key);
  assert.equal(readDevKey(folder.path), key);
  const secret = key.slice('sk_dev_'.length);
  const sha256 = createHash('sha256').update(secret).digest('hex');
  const scopes = ['infer', 'jobs', 'events', 'admin'];
  assert.deepEqual(recordsIn(folder.path), [{ id: 'dev', sha256, tenant: 'dev', class: 'vip', scopes }]);
  assert.ok(!readFileSync(keysFile(folder.path), 'utf8').includes(secret));
});

test('both files are for the user alone', () => {
  using folder = temporaryFolder();
  ensureDevKey(folder.path);
  for (const file of [devKeyFile(folder.path), keysFile(folder.path)]) assert.equal(statSync(file).mode & 0o777, 0o600);
});

test('records that others have added stay, and a damaged key is made anew', () => {
  using folder = temporaryFolder();
  const first = ensureDevKey(folder.path);
  const other = { id: 'shop', sha256: 'ab'.repeat(32), tenant: 'shop', class: 'bulk', scopes: [] };
  writeFileSync(keysFile(folder.path), JSON.stringify({ keys: [...recordsIn(folder.path), other] }));
  writeFileSync(devKeyFile(folder.path), 'sk_dev_cut\n');
  assert.notEqual(ensureDevKey(folder.path), first);
  assert.deepEqual(
    recordsIn(folder.path).map(({ id }) => id),
    ['dev', 'shop'],
  );
});

test('an expiry under its former name is kept under the one that gateways read', () => {
  using folder = temporaryFolder();
  const other = { id: 'shop', sha256: 'ab'.repeat(32), tenant: 'shop', class: 'bulk', scopes: [] };
  writeFileSync(keysFile(folder.path), JSON.stringify({ keys: [{ ...other, expires_at: 5 }] }));
  ensureDevKey(folder.path);
  assert.deepEqual(recordsIn(folder.path)[1], { ...other, expiresAt: 5 });
});
