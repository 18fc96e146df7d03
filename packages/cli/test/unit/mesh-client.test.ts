import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Context } from '../../src/context.ts';
import { ensureDevKey } from '../../src/dev-key.ts';
import { doorOf } from '../../src/mesh-client.ts';

test('the development key goes to doors of this machine and nowhere else, unless it is named', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'spillway-door-'));
  const key = ensureDevKey(dataDir);
  const keyOf = (url: string, named?: string) => doorOf({ dataDir } as Context, { url, key: named }).key;
  for (const host of ['127.0.0.1:8000', 'localhost:8000', '127.1.2.3', '[::1]:8000'])
    assert.equal(keyOf(`http://${host}`), key, host);
  for (const url of ['https://mesh.example', 'http://127.0.0.1.example', 'http://10.0.0.1:8000', 'nonsense'])
    assert.equal(keyOf(url), undefined, url);
  assert.equal(keyOf('https://mesh.example', 'sk_other'), 'sk_other');
  await rm(dataDir, { recursive: true });
});
