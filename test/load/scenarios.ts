import { parseArgs } from 'node:util';
import { FaultProxy } from '@spillway/testing/fault-proxy';
import { freePort } from '@spillway/testing/free-port';
import { type MeshOptions, startMesh } from '@spillway/testing/mesh';
import { type Figure, within } from '../sim/measure/figures.ts';
import { bound, shown, table } from '../sim/run/report.ts';
import { loadFilter } from '../support/load-faults.ts';
import { repositoryOf } from '../support/model-repository.ts';
import { say } from '../support/say.ts';
import { aboutRun } from './about-run.ts';
import { AS_DEPLOYED } from './as-deployed.ts';
import { publish } from './document.ts';
import { untilServed } from './flood/mesh-metrics.ts';
import { o03 } from './scenarios/o03.ts';
import { o04 } from './scenarios/o04.ts';
import { o05 } from './scenarios/o05.ts';
import { o06 } from './scenarios/o06.ts';
import { o08 } from './scenarios/o08.ts';
import { o09 } from './scenarios/o09.ts';
import { o10 } from './scenarios/o10.ts';
import { o14 } from './scenarios/o14.ts';
import { o15 } from './scenarios/o15.ts';
import { o16 } from './scenarios/o16.ts';
import { type Case, MODEL, type Scenario } from './scenarios/scenario.ts';

const SCENARIOS: readonly Scenario[] = [o03, o04, o05, o06, o08, o09, o10, o14, o15, o16];

const HELP = `Overload scenarios on the real chain, each on a mesh of its own (O1: node test/load/flood.ts; all in virtual time: test/sim).

  node test/load/scenarios.ts [O3 O4 …] [options]

${SCENARIOS.map(({ id, title }) => `  ${id.padEnd(5)}${title}`).join('\n')}

  --traces FILES   CSV files for O16, with commas between
  --seed N         default 1
  --section NAME   replaces that section of docs/benchmarks.md
  --help`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    traces: { type: 'string', default: '' },
    seed: { type: 'string', default: '1' },
    section: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});
async function main(): Promise<void> {
  const traces = values.traces.split(',').filter((file) => file !== '');
  const unknown = positionals.find((id) => !SCENARIOS.some((scenario) => scenario.id === id));
  if (unknown !== undefined)
    throw new Error(`expected one of ${SCENARIOS.map(({ id }) => id).join(', ')}, got "${unknown}"`);
  const wanted = SCENARIOS.filter(({ id }) => positionals.length === 0 || positionals.includes(id));
  const rows: string[][] = [];
  for (const { id, title, cases } of wanted) {
    rows.push([`**${id}** ${title}`, '', '', '', '']);
    for (const one of cases) {
      if (one.needsTraces && traces.length === 0) {
        rows.push([one.name, 'not run: no --traces', '', '', '']);
        continue;
      }
      say(`${id}: ${one.name}`);
      for (const [n, figure] of (await measure(one, traces)).entries())
        rows.push(line(n === 0 ? one.name : '', figure));
      say(table(HEAD, rows.slice(-8)));
    }
  }
  const text = `${aboutRun()} Model ${MODEL}.\n\n${table(HEAD, rows)}`;
  publish(text, values.section);
}

const HEAD = ['case', 'figure', 'must', 'measured', ''];

const line = (name: string, figure: Figure): string[] => [
  name,
  figure.name,
  bound(figure.unit, figure.must),
  shown(figure),
  figure.must === undefined || Number.isNaN(figure.value) ? '' : within(figure.value, figure.must) ? 'yes' : '**no**',
];

async function measure(one: Case, traces: readonly string[]): Promise<Figure[]> {
  // Nothing else: what a worker that starts again would load takes the cores from the others.
  await using models = await repositoryOf([MODEL]);
  const loadFaults = { delayMs: 0, silent: false };
  await using proxies = new AsyncDisposableStack();
  const busProxy = async (): Promise<MeshOptions> => {
    const port = await freePort();
    const env = { NATS_URL: `nats://127.0.0.1:${port}` };
    const filter = loadFilter(loadFaults);
    return {
      serviceEnv: { gateway: env, batcher: env },
      beforeServices: async ({ nats }) => {
        proxies.use(await FaultProxy.start({ port, targetPort: nats.port, filter }));
      },
    };
  };
  const faulty = one.loadFaults ? await busProxy() : {};
  await using mesh = await startMesh({ env: AS_DEPLOYED, models: models.dir, ...one.mesh, ...faulty });
  await untilServed(mesh, MODEL);
  return await one.run({ mesh, seed: Number(values.seed), traces, say, loadFaults });
}

if (values.help) console.log(HELP);
else await main();
