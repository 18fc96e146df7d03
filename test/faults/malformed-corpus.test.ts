import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCorpus } from './malformed/run.ts';

/** More of them: node faults/malformed/main.ts --count 100000 */
const COUNT = 2_500;
const SEED = 1;
/** What code and tables that were not used before may take. */
const MAX_GROWTH_BYTES = 8 * 1024 * 1024;

test('whatever is wrong with a request, its answer is typed, at once, and costs no memory', async () => {
  const { codes, faults, heap } = await runCorpus({ count: COUNT, seed: SEED });
  assert.deepEqual(faults, []);
  for (const code of [
    'OK',
    'INVALID_REQUEST',
    'UNSUPPORTED',
    'MODEL_NOT_FOUND',
    'METHOD_NOT_ALLOWED',
    'PAYLOAD_TOO_LARGE',
  ]) {
    assert.ok((codes[code] ?? 0) > 0, `no answer was ${code}: ${JSON.stringify(codes)}`);
  }
  assert.ok(heap.after - heap.before < MAX_GROWTH_BYTES, JSON.stringify(heap));
});
