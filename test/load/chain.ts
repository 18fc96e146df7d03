import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { say } from '../support/say.ts';
import { aboutRun } from './about-run.ts';
import { startLoadClient } from './client/load-client.ts';
import { cpuOf, residentOf, withChildren } from './cpu.ts';
import { publish } from './document.ts';
import { type Line, type Run, ratio, summarize, table } from './report.ts';
import { MLP, ON_MESH, startTargets, TARGETS, type Target, type TargetName } from './targets.ts';

const HELP = `The whole chain beside bare servers, in one run: model mlp, distinct inputs, every answer checked.

  node test/load/chain.ts [options]

  --seconds N         measured seconds of each run (default 10; 1.5 s of warm-up before each)
  --connections LIST  default 1,32,128,256
  --rounds N          rounds; in each every target runs once, medians are shown (default 3)
  --only LIST         of ${Object.keys(TARGETS).join(', ')}; all by default
  --inputs N          distinct inputs (default 16384)
  --json FILE         writes every run and the medians
  --write             replaces the table in docs/benchmarks.md
  --help

Targets: ${Object.entries(TARGETS)
  .map(([name, title]) => `${name} = ${title}`)
  .join('; ')}.`;

const WARM_UP_SECONDS = 1.5;

function readOptions() {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '10' },
      connections: { type: 'string', default: '1,32,128,256' },
      rounds: { type: 'string', default: '3' },
      only: { type: 'string', default: Object.keys(TARGETS).join(',') },
      inputs: { type: 'string', default: '16384' },
      json: { type: 'string', default: '' },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const number = (name: 'seconds' | 'rounds' | 'inputs'): number => {
    const value = Number(values[name]);
    if (!(value > 0)) throw new Error(`--${name}: expected a number above 0, got "${values[name]}"`);
    return value;
  };
  const only = values.only.split(',');
  const unknown = only.find((name) => !(name in TARGETS));
  if (unknown !== undefined) throw new Error(`--only: expected ${Object.keys(TARGETS).join(', ')}, got "${unknown}"`);
  const connections = values.connections.split(',').map(Number);
  if (!connections.every((n) => Number.isInteger(n) && n > 0)) throw new Error('--connections: expected numbers');
  return {
    seconds: number('seconds'),
    rounds: number('rounds'),
    inputs: number('inputs'),
    connections,
    only: only as TargetName[],
    json: values.json,
    write: values.write,
    help: values.help,
  };
}

type Options = ReturnType<typeof readOptions>;

/** Resident memory of Spillway's processes after the load, in MiB. */
const memoryOf = (target: Target | undefined): string => {
  if (target === undefined) return '';
  const resident = Object.entries(residentOf(withChildren(target.pids)));
  const sum = resident.reduce((total, [, mib]) => total + mib, 0);
  const parts = resident.map(([name, mib]) => `${name} ${mib.toFixed(0)}`);
  return `Resident after the load, MiB: ${parts.join(', ')}; ${sum.toFixed(0)} in all (without Redis).`;
};

async function measure(options: Options): Promise<{ runs: Run[]; memory: string }> {
  const runs: Run[] = [];
  await using client = await startLoadClient(options.inputs, MLP);
  await using started = await startTargets(options.only, say);
  const total = options.connections.length * options.rounds * started.targets.length;
  const one = async (target: Target, connections: number, round: number): Promise<void> => {
    const pids = withChildren(target.pids);
    const before = cpuOf(pids);
    const result = await client.run(
      target.job({ connections, seconds: options.seconds, warmUpSeconds: WARM_UP_SECONDS }),
    );
    const after = cpuOf(pids);
    const cpu = Object.fromEntries(Object.keys(after).map((name) => [name, (after[name] ?? 0) - (before[name] ?? 0)]));
    runs.push({ target: target.name, connections, round, result, cpu });
    const rate = Math.round(result.perSecond).toLocaleString('en');
    const { wrong } = result;
    say(
      `${runs.length}/${total}  ${connections} connections, round ${round}, ${TARGETS[target.name]}: ${rate}/s, p50 ${result.p50} ms, wrong ${wrong}`,
    );
  };
  for (const connections of options.connections) {
    for (let round = 1; round <= options.rounds; round += 1) {
      for (const target of started.targets) await one(target, connections, round);
    }
  }
  return { runs, memory: memoryOf(started.targets.find(({ name }) => ON_MESH.includes(name))) };
}

const describe = (options: Options): string =>
  `${aboutRun()} ${options.seconds} s a run, medians of ${options.rounds}, ${options.inputs} distinct inputs.`;

function conclusions(lines: readonly Line[]): string {
  const at = 128;
  const pairs: [string, number][] = [
    ['Spillway / bare path', ratio(lines, at, 'mesh', 'path')],
    ['Spillway / bare node:http + ORT', ratio(lines, at, 'mesh', 'server')],
    ['Spillway HTTP binary / HTTP JSON', ratio(lines, at, 'binary', 'mesh')],
    ['Spillway gRPC unary / bare grpc-js echo', ratio(lines, at, 'grpc', 'echo')],
  ];
  const known = pairs.filter(([, value]) => !Number.isNaN(value));
  return known.map(([what, value]) => `${what} at ${at} connections: ${value.toFixed(2)}`).join('; ');
}

const options = readOptions();
if (options.help) {
  console.log(HELP);
} else {
  const { runs, memory } = await measure(options);
  const lines = summarize(runs);
  const text = `${describe(options)}\n\n${table(lines)}\n\n${conclusions(lines)}\n\n${memory}`.trimEnd();
  publish(text, options.write ? 'chain' : '');
  if (options.json !== '')
    writeFileSync(options.json, JSON.stringify({ about: describe(options), lines, memory, runs }, null, 1));
  const wrong = lines.reduce((sum, line) => sum + line.wrong, 0);
  if (wrong > 0) {
    say(`${wrong} wrong answers`);
    process.exitCode = 1;
  }
}
