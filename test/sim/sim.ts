import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { REPO } from '@spillway/testing/find-binary';
import { say } from '../support/say.ts';
import { BASELINES } from './baselines/server.ts';
import { MECHANISMS, type Mechanism } from './chain/spec.ts';
import { document, STEPS, TELLING, TOGETHER } from './run/document.ts';
import { runAll } from './run/pool.ts';
import { comparison, failures, rowsOf, scenarioTables } from './run/report.ts';
import { type Contender, PRODUCT, readBaselines, readMechanisms, type Task } from './run/tasks.ts';
import { SCENARIOS } from './scenarios/all.ts';

const HELP = `The overload algorithm in virtual time: the very policy files of gateway and batcher in a simulated mesh.

  node test/sim/sim.ts [O1 O3 …] [options]     all scenarios by default

  --seeds N         runs of each case, with seeds from --first (default 1)
  --first N         first seed (default 1)
  --jobs N          threads (default 2)
  --cases LIST      only cases with these names, such as 5×
  --seconds N       length of the overload in place of the scenario's
  --traces LIST     up to three CSV files of arrivals for O16, which is left out without
  --baseline LIST   instead of the product: ${Object.keys(BASELINES).join(', ')}, all
  --without LIST    the product without mechanisms: ${MECHANISMS.join(', ')}; each = one table line for each
  --json FILE       every figure of every seed
  --markdown FILE   the tables
  --document        writes docs/overload-simulation.md: all scenarios, baselines at O1, mechanisms off at O1 5×
  --help

Exits with 1 when a figure is not what it must be. Scenarios:
${SCENARIOS.map(({ id, title }) => `  ${id.padEnd(4)} ${title}`).join('\n')}`;

const COMPARED = [
  'goodput',
  'vip answered',
  'vip p99',
  'recovered after',
  'attempts per request',
  'failures refused within 10 ms',
  'rows run for nobody',
];
const DOCUMENT = join(REPO, 'docs', 'overload-simulation.md');

function readOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seeds: { type: 'string', default: '1' },
      first: { type: 'string', default: '1' },
      jobs: { type: 'string', default: '2' },
      cases: { type: 'string' },
      seconds: { type: 'string' },
      traces: { type: 'string', default: '' },
      baseline: { type: 'string' },
      without: { type: 'string' },
      json: { type: 'string' },
      markdown: { type: 'string' },
      document: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const count = (name: 'seeds' | 'first' | 'jobs' | 'seconds'): number => {
    const number = Number(values[name]);
    if (!Number.isInteger(number) || number < 1)
      throw new Error(`--${name}: expected 1 or more, got "${values[name]}"`);
    return number;
  };
  const ids = positionals.length === 0 ? SCENARIOS.map(({ id }) => id) : positionals.map((id) => id.toUpperCase());
  const unknown = ids.find((id) => !SCENARIOS.some((scenario) => scenario.id === id));
  if (unknown !== undefined)
    throw new Error(`expected scenarios of ${SCENARIOS.map(({ id }) => id).join(', ')}, got "${unknown}"`);
  return {
    ids,
    seeds: count('seeds'),
    first: count('first'),
    jobs: count('jobs'),
    cases: values.cases?.split(','),
    seconds: values.seconds === undefined ? undefined : count('seconds'),
    traces: values.traces.split(',').filter((file) => file !== ''),
    contenders: contendersOf(values.baseline, values.without),
    json: values.json,
    markdown: values.markdown,
    document: values.document,
    help: values.help,
  };
}

function contendersOf(baseline: string | undefined, without: string | undefined): Contender[] {
  const baselines = baseline === undefined ? [] : readBaselines(baseline).map((name) => ({ baseline: name, off: [] }));
  if (without === undefined) return baselines.length > 0 ? baselines : [PRODUCT];
  if (without === 'each')
    return [...baselines, PRODUCT, ...MECHANISMS.map((off): Contender => ({ baseline: '', off: [off] }))];
  return [...baselines, { baseline: '', off: readMechanisms(without) }];
}

type Options = ReturnType<typeof readOptions>;

function tasksOf({ ids, cases, seeds, first, seconds, traces, contenders }: Options): Task[] {
  const tasks: Task[] = [];
  for (const { id, cases: own, baselines } of SCENARIOS) {
    if (!ids.includes(id)) continue;
    for (const contender of contenders) {
      if (contender.baseline !== '' && !baselines) continue;
      for (const { name, needsTrace = -1 } of own) {
        if (needsTrace >= traces.length) continue;
        if (cases !== undefined && !cases.includes(name)) continue;
        for (let seed = first; seed < first + seeds; seed += 1) {
          tasks.push({ scenario: id, case: name, seed, ...contender, seconds, traces });
        }
      }
    }
  }
  return tasks;
}

async function run(tasks: readonly Task[], jobs: number) {
  const startedMs = performance.now();
  let [done, events, busyMs, shownMs] = [0, 0, 0, 0];
  const results = await runAll(tasks, jobs, (one) => {
    done += 1;
    events += one.events;
    busyMs += one.wallMs;
    const nowMs = performance.now();
    if (nowMs - shownMs < 1_000 && done < tasks.length) return;
    shownMs = nowMs;
    const leftMs = ((nowMs - startedMs) / done) * (tasks.length - done);
    const { scenario, case: name, seed } = one.task;
    say(`${done} of ${tasks.length}: ${scenario} ${name}, seed ${seed}; about ${Math.ceil(leftMs / 1_000)} s left`);
  });
  say(
    `${events.toLocaleString('en')} events, ${Math.round((events / busyMs) * 1_000).toLocaleString('en')} per second and thread`,
  );
  return results;
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options.help) {
    console.log(HELP);
    return;
  }
  const plan: Options[] = options.document ? documentRuns(options) : [options];
  const results = await run(plan.flatMap(tasksOf), options.jobs);
  const rows = rowsOf(results);
  const alike = options.contenders.length > 1 || options.contenders[0]?.baseline !== '';
  const text = alike ? comparison(rows, COMPARED) : scenarioTables(rows);
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, undefined, 1)}\n`);
  if (options.document) writeFileSync(DOCUMENT, document(rows, COMPARED, options.seeds));
  else if (options.markdown === undefined) console.log(text);
  if (options.markdown !== undefined) writeFileSync(options.markdown, `${text}\n`);
  const failing = failures(rows.filter(({ contender }) => contender === 'spillway'));
  for (const line of failing) say(`does not hold: ${line}`);
  if (failing.length > 0) process.exitCode = 1;
}

/** Everything with the product; O1 with every baseline; mechanisms off, alone and together, and each where it shows. */
function documentRuns(options: Options): Options[] {
  const once = { ...options, seeds: 1 };
  const off = (mechanisms: readonly Mechanism[]): Contender[] => [{ baseline: '', off: mechanisms }];
  return [
    { ...options, contenders: [PRODUCT] },
    {
      ...once,
      ids: ['O1'],
      cases: [...STEPS],
      seconds: options.seconds ?? 8,
      contenders: contendersOf('all', undefined),
    },
    {
      ...once,
      ids: ['O1'],
      cases: ['5×'],
      contenders: [...contendersOf(undefined, 'each').slice(1), ...TOGETHER.flatMap(off)],
    },
    ...TELLING.map(({ scenario, name, off: one }) => ({
      ...once,
      ids: [scenario],
      cases: [name],
      contenders: off([one]),
    })),
  ];
}

main().catch((error: Error) => {
  say(error.message);
  process.exitCode = 2;
});
