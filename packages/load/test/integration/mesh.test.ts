import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { REPO } from '@spillway/testing/find-binary';
import { type Mesh, startMesh } from '@spillway/testing/mesh';
import { type Kind, PROTOCOLS } from '../../src/kind.ts';
import { parseProfile } from '../../src/profile-text.ts';
import { runLoad } from '../../src/run-load.ts';
import { kind } from '../unit/fixtures.ts';

/** The smallest mesh: one model that answers what it was given, and no service that it does not need. */
async function startSmallMesh() {
  await using opening = new AsyncDisposableStack();
  const models = await mkdtemp(join(tmpdir(), 'spillway-load-models-'));
  opening.defer(() => rm(models, { recursive: true }));
  await cp(join(REPO, 'models', 'simulated'), join(models, 'simulated'), { recursive: true });
  const mesh: Mesh = opening.use(await startMesh({ models, scale: { cache: 0, 'feature-service': 0 } }));
  while ((await fetch(`${mesh.url}/v2/models/simulated/ready`)).status !== 200) await delay(20);
  const open = opening.move();
  return { mesh, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

test('every protocol reaches the mesh, every request ends once, and its answer and receipt are read', {
  timeout: 180_000,
}, async () => {
  await using small = await startSmallMesh();
  const { mesh } = small;
  const kinds = PROTOCOLS.map(
    (protocol): Kind =>
      kind({
        name: protocol,
        protocol,
        trafficClass: 'standard',
        key: mesh.keys.standard,
        deadlineMs: [{ value: 60_000, weight: 1 }], // this test is not about time
      }),
  );
  const report = await runLoad({
    kinds,
    plan: { profile: parseProfile('first: 40 1s, second: 40 1s'), process: 'constant' },
    targets: { http: mesh.url, grpc: mesh.grpc, nats: mesh.nats.url },
    metrics: { urls: mesh.of('batcher').map(({ health }) => `http://${health}/metrics`) },
    warmUpMs: 40,
  });
  assert.equal(report.phases.length, 2);
  for (const { groups, all } of report.phases) {
    assert.equal(all.offered, 40);
    for (const [protocol, group] of Object.entries(groups)) {
      const why = `${protocol}: ${JSON.stringify(group.failedBy)} ${JSON.stringify(group.refusedBy)}`;
      assert.ok(group.offered > 0, why);
      assert.deepEqual([group.good, group.wrong], [group.offered, 0], why);
      if (protocol !== 'events') assert.ok((group.meanBatch ?? 0) >= 1 && group.queue.samples === group.offered, why);
    }
  }
  assert.ok((report.metrics?.timesMs.length ?? 0) > 0);
});
