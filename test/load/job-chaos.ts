import { parseArgs } from 'node:util';
import { type Service, startMesh } from '@spillway/testing/mesh';
import { jobChaos } from '../support/job-chaos.ts';
import { doomed } from '../support/job-killer.ts';
import { repositoryOf } from '../support/model-repository.ts';
import { say } from '../support/say.ts';
import { aboutRun } from './about-run.ts';

const HELP = `Jobs over HTTP while gateways, batchers, workers and NATS are killed in turn with SIGKILL, and kill themselves at named
places (packages/lifecycle/src/crash-point.ts). Whatever died is started again.

  node test/load/job-chaos.ts [options]

  --jobs N         default 100000
  --kill-every MS  default 2000
  --crash-after N  a process dies when it comes to its crash point for the Nth time (default 1000)
  --seed N         which process is killed first (default 1)
  --help

Exits with 1 when a job was lost, stored twice, mixed up, or accepted and not known.`;

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '100000' },
    'kill-every': { type: 'string', default: '2000' },
    'crash-after': { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  await using models = await repositoryOf(['simple']);
  const scale = { gateway: 2, batcher: 2, 'gpu-worker': 2 };
  const crashAfter = Number(values['crash-after']);
  const instanceEnv = (service: Service, index: number) => doomed(service, index, (1 + index) * crashAfter);
  await using mesh = await startMesh({ scale, models: models.dir, instanceEnv });
  const figures = await jobChaos(mesh, {
    jobs: Number(values.jobs),
    killEveryMs: Number(values['kill-every']),
    crashAfter,
    crashAgain: true,
    seed: Number(values.seed),
    patienceMs: 300_000,
    onProgress: say,
  });
  const { lost, surfacedTwice, wrong, unknown, accepted, attempts, kills, crashes, submitMs, endMs } = figures;
  const counted = (deaths: Record<string, number>) => Object.entries(deaths).map(([name, count]) => `${name} ${count}`);
  console.log(aboutRun());
  console.log(
    `${accepted} jobs accepted in ${attempts} attempts and ${(submitMs / 1_000).toFixed(0)} s, all ended after ${(endMs / 1_000).toFixed(0)} s.`,
  );
  console.log(`killed: ${counted(kills).join(', ')}`);
  console.log(`crashed: ${counted(crashes).join(', ')}`);
  console.log(
    `lost ${lost.length}, stored twice ${surfacedTwice.length}, mixed up ${wrong.length}, accepted and not known ${unknown.length}`,
  );
  if (lost.length + surfacedTwice.length + wrong.length + unknown.length > 0) process.exitCode = 1;
}
