import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startMesh } from '@spillway/testing/mesh';
import { table } from '../sim/run/report.ts';
import { repositoryOf } from '../support/model-repository.ts';
import { say } from '../support/say.ts';
import { aboutRun } from './about-run.ts';
import { AS_DEPLOYED } from './as-deployed.ts';
import { publish } from './document.ts';
import { untilServed } from './flood/mesh-metrics.ts';
import { capacityOf } from './flood/one-flood.ts';
import { pinWorkers } from './flood/pin.ts';
import { median } from './report.ts';

const HELP = `How much of the model is left in the mesh: served rows/s beside plain ONNX Runtime, and batching on beside off.

  node test/load/efficiency.ts [options]

  --seconds N      of each measurement (default 8)
  --rounds N       medians of so many (default 3)
  --section NAME   replaces that section of docs/benchmarks.md
  --help

The worker, and in its turn the loop of plain ONNX Runtime, has the last core alone.`;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '3' },
    section: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});

const ROWS = 32;
const IN_FLIGHT = 128;
/** A question of one row costs the doors more than the model, on one core: eight make the model what is measured. */
const ROWS_OF_A_REQUEST: Record<Model, number> = { intent: 8, simulated: 1 };
const MODELS = ['intent', 'simulated'] as const;
type Model = (typeof MODELS)[number];
/** 40 ms + 2 ms a row, `models/simulated/model.yaml`: what a loop without anything around would give. */
const SIMULATED = { one: 1_000 / 42, full: (ROWS * 1_000) / (40 + 2 * ROWS) };

/** Rows/s of plain ONNX Runtime on the last core. */
function bare(rows: number): number {
  const file = fileURLToPath(new URL('./bare-servers/ort-loop.ts', import.meta.url));
  const args = ['-c', String(cpus().length - 1), process.execPath, file, String(rows), values.seconds];
  return Number(execFileSync('taskset', args, { encoding: 'utf8' }));
}

/** Rows/s that the mesh serves of each model with batches of at most `maxRows`. */
async function mesh(maxRows: number): Promise<Record<Model, number>> {
  await using models = await repositoryOf(MODELS, (yaml) =>
    yaml.replace(/max_batch_size: \d+/, `max_batch_size: ${maxRows}`),
  );
  await using started = await startMesh({ env: AS_DEPLOYED, models: models.dir });
  pinWorkers(started);
  const served: [Model, number][] = [];
  for (const model of MODELS) {
    await untilServed(started, model);
    const rows = Math.min(maxRows, ROWS_OF_A_REQUEST[model]);
    const load = { model, deadlineMs: 20_000, inFlight: IN_FLIGHT, seconds: Number(values.seconds), rows };
    served.push([model, rows * (await capacityOf(started, load))]);
  }
  return Object.fromEntries(served) as Record<Model, number>;
}

if (values.help) console.log(HELP);
else await main();

type Round = { on: Record<Model, number>; off: Record<Model, number>; bareFull: number; bareOne: number };

async function main(): Promise<void> {
  const rounds: Round[] = [];
  for (let round = 1; round <= Number(values.rounds); round += 1) {
    const [on, off] = [await mesh(ROWS), await mesh(1)];
    const one: Round = { on, off, bareFull: bare(ROWS), bareOne: bare(1) };
    say(`round ${round}: ${JSON.stringify(one)}`);
    rounds.push(one);
  }
  const of = (pick: (round: Round) => number): number => median(rounds.map(pick));
  const line = (model: Model, full: (r: Round) => number, one: typeof full): string[] => {
    const gain = of((r) => full(r) / one(r));
    const own = of((r) => r.on[model] / r.off[model]);
    return [
      model,
      of(full).toFixed(0),
      of((r) => r.on[model]).toFixed(0),
      of((r) => r.on[model] / full(r)).toFixed(2),
      `${gain.toFixed(1)} ×`,
      `${own.toFixed(1)} ×`,
      of((r) => r.on[model] / r.off[model] / (full(r) / one(r))).toFixed(2),
    ];
  };
  const head = [
    'model',
    `alone, batches of ${ROWS}, rows/s`,
    'mesh, rows/s',
    'mesh / alone (≥ 0.9)',
    'batching gives alone',
    'in the mesh',
    'of it (≥ 0.9)',
  ];
  const text = [
    `${aboutRun()} Medians of ${rounds.length}; ${IN_FLIGHT} requests in flight over HTTP, of one row, of intent eight where batches may have them; the worker on a core of its own.`,
    table(head, [
      line(
        'intent',
        (r) => r.bareFull,
        (r) => r.bareOne,
      ),
      line(
        'simulated',
        () => SIMULATED.full,
        () => SIMULATED.one,
      ),
    ]),
  ].join('\n\n');
  publish(text, values.section);
}
