import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CRASH_POINTS } from '@spillway/lifecycle/crash-point';
import { startMesh } from '@spillway/testing/mesh';
import { jobChaos } from '../support/job-chaos.ts';
import { doomed } from '../support/job-killer.ts';
import { repositoryOf } from '../support/model-repository.ts';

test('jobs while gateways, batchers, workers and NATS are killed, also at each crash point: none lost, none stored twice, none mixed up', async () => {
  await using models = await repositoryOf(['simple']);
  const scale = { gateway: 2, batcher: 2, 'gpu-worker': 2 };
  const crashAfter = 40; // of the second of each service later: a job of which all die at once may come to its fifth delivery, the last
  await using mesh = await startMesh({
    scale,
    models: models.dir,
    instanceEnv: (service, index) => doomed(service, index, (1 + 4 * index) * crashAfter),
  });
  const figures = await jobChaos(mesh, {
    jobs: 1_000,
    killEveryMs: 1_000,
    crashAfter,
    crashAgain: false,
    seed: 6,
    patienceMs: 300_000,
  });
  const { jobs, lost, surfacedTwice, wrong, unknown, accepted, kills, crashes } = figures;
  console.log(`${accepted} accepted after ${figures.attempts} attempts`, { kills, crashes });
  assert.deepEqual(
    { lost, surfacedTwice, wrong, unknown, accepted },
    { lost: [], surfacedTwice: [], wrong: [], unknown: [], accepted: jobs },
  );
  assert.ok((kills['nats-server'] ?? 0) > 0, 'NATS was killed');
  assert.deepEqual(Object.keys(crashes).sort(), Object.values(CRASH_POINTS).flat().sort());
});
