import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startMesh } from '@spillway/testing/mesh';
import { jobChaos } from '../support/job-chaos.ts';
import { repositoryOf } from '../support/model-repository.ts';

test('jobs while gateways, batchers, workers and NATS are killed: none lost, none stored twice, none mixed up', async () => {
  await using models = await repositoryOf(['simple']);
  const scale = { gateway: 2, batcher: 2, 'gpu-worker': 2 };
  await using mesh = await startMesh({ scale, models: models.dir });
  const figures = await jobChaos(mesh, { jobs: 1_500, killEveryMs: 700, seed: 11, patienceMs: 60_000 });
  const { lost, surfacedTwice, wrong, unknown, accepted, kills } = figures;
  console.log(`${accepted} accepted after ${figures.attempts} attempts, killed ${JSON.stringify(kills)}`);
  assert.deepEqual(
    { lost, surfacedTwice, wrong, unknown, accepted },
    { lost: [], surfacedTwice: [], wrong: [], unknown: [], accepted: 1_500 },
  );
  assert.ok(Object.keys(kills).length > 0, 'something was killed');
});
