import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { REPO } from '@spillway/testing/find-binary';
import type { Mesh } from '@spillway/testing/mesh';
import { startSeededMesh } from '../support/mesh-fixture.ts';

const FOLDER = join(REPO, 'packages', 'client', 'examples');

let mesh: Mesh;
before(async () => {
  mesh = await startSeededMesh({ serves: ['intent', 'mlp', 'simulated', 'credit-risk'] });
});
after(() => mesh?.[Symbol.asyncDispose]());

const EXAMPLES: Record<string, { urls: () => string[]; prints: RegExp }> = {
  'classify.ts': { urls: () => [mesh.url], prints: /^card_arrival {2}my card has not arrived yet\n/ },
  'stream.ts': { urls: () => [`grpc://${mesh.grpc}`], prints: /^1000 answered, the largest is -?\d/ },
  // How many of which depends on the machine.
  'under-load.ts': { urls: () => [mesh.url], prints: /(answered|refused .*|too late)'?: \d+/ },
  'job.ts': { urls: () => [mesh.url], prints: /succeeded\ncard_arrival, \w+\n$/ },
  'many-jobs.ts': {
    urls: () => [mesh.url],
    prints: /^100 of 400 handed over\n.*\n.*\n400 of 400 .*\n10 results, the last is -?\d/,
  },
  'event.ts': { urls: () => [mesh.nats.url, mesh.url], prints: /^client 111: 0\.10421/ },
};

test('every example is run here', () => {
  assert.deepEqual(readdirSync(FOLDER).sort(), Object.keys(EXAMPLES).sort());
});

for (const [file, { urls, prints }] of Object.entries(EXAMPLES)) {
  test(`the example ${file} runs as it stands`, async () => {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [join(FOLDER, file), ...urls()], {
      timeout: 180_000,
    });
    assert.match(stdout, prints);
    assert.equal(stderr, '');
  });
}
