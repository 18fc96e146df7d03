import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { measureCapacity } from '@spillway/load/capacity';
import type { TensorSpec } from '@spillway/load/inputs';
import { progressLine } from '@spillway/load/progress';
import type { LoadReport } from '@spillway/load/report';
import { runLoad } from '@spillway/load/run-load';
import type { LoadPlan } from '@spillway/load/schedule';
import { parseTrace } from '@spillway/load/trace-csv';
import { freePort } from '@spillway/testing/free-port';
import { startMesh } from '@spillway/testing/mesh';
import { table } from '../../sim/run/report.ts';
import { aroundPeak } from '../../support/around-peak.ts';
import { say } from '../../support/say.ts';
import { aboutRun } from '../about-run.ts';
import { AS_DEPLOYED } from '../as-deployed.ts';
import { publish } from '../document.ts';
import { untilServed } from '../flood/mesh-metrics.ts';
import { FLOOD, floodMix, standardKind, stepProfile } from '../flood/mix.ts';
import { type FloodFigures, figuresOf, ms, percent, recoveryText } from '../flood/verdict.ts';
import { type ModelName, PEERS, type PeerName, peerName } from './catalogue.ts';
import { DEFAULT_DIR } from './install.ts';
import { startPeer } from './start-peer.ts';

const HELP = `Spillway and other servers under the same generator, one after the other: what they serve, and what is left of it in a flood.

  node test/load/peers/beside.ts [options]

  --only LIST      of spillway, ${Object.keys(PEERS).join(', ')} (default all)
  --dir DIR        where the peers' environments are
  --times N        of Spillway's capacity for intent, in the flood (default 3)
  --seconds N      of each measurement (default 12)
  --deadline MS    of every request (default 1000)
  --rows N         texts of a request for intent (default 1)
  --accept LIST    what Spillway's callers take in the flood: wait, degraded (default wait: answers of full quality only)
  --traces FILES   CSV files, replayed at 1.5 times that capacity at their peak, in place of the flood
  --json PREFIX    writes PREFIX-<system>-<load>.json: reports for "./spillway load report"
  --section NAME   replaces that section of docs/benchmarks.md
  --help`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: ['spillway', ...Object.keys(PEERS)].join(',') },
    dir: { type: 'string', default: DEFAULT_DIR },
    times: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '12' },
    deadline: { type: 'string', default: '1000' },
    rows: { type: 'string', default: '1' },
    accept: { type: 'string', default: 'wait' },
    traces: { type: 'string', default: '' },
    json: { type: 'string', default: '' },
    section: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});

const IN_FLIGHT = 128;
const ROWS: Record<ModelName, number> = { mlp: 1, intent: Number(values.rows) };
const PEAK = 1.5;
const REPLAY_MS = 60_000;
const SPILLWAY = 'spillway';
const KEYS = { vip: '', standard: '', bulk: '' };
const TENSORS: Record<ModelName, TensorSpec[]> = {
  mlp: [{ name: 'x', datatype: 'FP32', shape: [-1, 64] }],
  intent: [{ name: 'text', datatype: 'BYTES', shape: [-1, 1] }],
};

type System = AsyncDisposable & { url: string; plain: boolean; keys: typeof KEYS };

async function start(name: string, model: ModelName): Promise<System> {
  say(`${name}: ${model}`);
  if (name === SPILLWAY) {
    const mesh = await startMesh({ env: { ...AS_DEPLOYED, GPU_WORKER_EXECUTORS: String(availableParallelism()) } });
    await untilServed(mesh, model);
    return { url: mesh.url, plain: false, keys: mesh.keys, [Symbol.asyncDispose]: () => mesh[Symbol.asyncDispose]() };
  }
  const deadlineMs = Number(values.deadline);
  const peer = await startPeer({ name: peerName(name), port: await freePort(), dir: values.dir, model, deadlineMs });
  const { origin } = new URL(peer.url);
  return { url: origin, plain: true, keys: KEYS, [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose]() };
}

/** Requests/s with 128 under way. */
async function throughput(system: System, model: ModelName): Promise<number> {
  const { perSecond } = await measureCapacity({
    kind: standardKind({ model, keys: system.keys, deadlineMs: 10_000, rows: ROWS[model] }),
    targets: { http: system.url },
    inputs: { tensors: TENSORS },
    inFlight: IN_FLIGHT,
    warmUpMs: 3_000,
    measureMs: Number(values.seconds) * 1_000,
    plain: system.plain,
  });
  return perSecond;
}

function under(system: System, plan: LoadPlan, capacity: number, times: number): Promise<LoadReport> {
  const model = 'intent';
  const { keys } = system;
  return runLoad({
    kinds: floodMix({
      model,
      keys,
      capacity,
      times,
      deadlineMs: Number(values.deadline),
      rows: ROWS[model],
      accept: values.accept,
    }),
    plan,
    targets: { http: system.url },
    inputs: { tensors: TENSORS },
    plain: system.plain,
    capacity,
    patienceMs: 4_000,
    onProgress: (progress) => say(progressLine(progress)),
  });
}

type Loaded = { name: string; times: number; planOf: (capacity: number) => LoadPlan };

function loads(): Loaded[] {
  const files = values.traces.split(',').filter((file) => file !== '');
  if (files.length === 0) {
    const times = Number(values.times);
    const seconds = { calm: 8, flood: Number(values.seconds), after: 10 };
    const planOf = (capacity: number): LoadPlan => ({
      profile: stepProfile({ capacity, times }, seconds),
      process: 'poisson',
    });
    return [{ name: `${times} × capacity`, times, planOf }];
  }
  return files.map((file) => {
    const trace = parseTrace(readFileSync(file, 'utf8'));
    const name = basename(file).replace(/\.csv.*$/, '');
    const planOf = (capacity: number): LoadPlan => ({
      trace,
      replay: { ...aroundPeak(trace, REPLAY_MS), peakPerSecond: PEAK * capacity },
      label: FLOOD,
    });
    return { name, times: PEAK, planOf };
  });
}

function floodLine(name: string, load: string, figures: FloodFigures): string[] {
  const { capacity, goodput, degraded, served, vip, promptRefusals } = figures;
  return [
    name,
    load,
    (goodput * capacity).toFixed(0) + (degraded > 0 ? ` (${percent(degraded, 0)} by a variant)` : ''),
    percent(goodput, 0),
    ...[served.vip, served.standard, served.bulk].map((share) => percent(share)),
    `${ms(vip.calmP99)} / ${ms(vip.p99)}`,
    percent(promptRefusals),
    recoveryText(figures),
  ];
}

async function main(): Promise<void> {
  const names = values.only.split(',');
  for (const name of names) if (name !== SPILLWAY) peerName(name);
  const served: string[][] = [];
  const flooded: string[][] = [];
  let capacity = Number.NaN;
  for (const name of [SPILLWAY, ...names.filter((one) => one !== SPILLWAY)] as (PeerName | typeof SPILLWAY)[]) {
    let mlp = Number.NaN;
    if (values.traces === '') {
      await using system = await start(name, 'mlp');
      mlp = await throughput(system, 'mlp');
    }
    await using system = await start(name, 'intent');
    const own = await throughput(system, 'intent');
    if (name === SPILLWAY) capacity = own;
    served.push([name, Number.isNaN(mlp) ? '–' : mlp.toFixed(0), own.toFixed(0)]);
    for (const load of loads()) {
      const report = await under(system, load.planOf(capacity), capacity, load.times);
      if (values.json !== '')
        writeFileSync(`${values.json}-${name}-${load.name.replace(/\W+/g, '-')}.json`, JSON.stringify(report));
      flooded.push(floodLine(name, load.name, figuresOf(report, capacity, load.times)));
    }
    say(table(['', 'mlp', 'intent'], served));
    say(table(FLOOD_HEAD, flooded));
  }
  const text = [
    `${aboutRun()} Each alone on the machine with its client; every answer within ${values.deadline} ms counts, whoever it is for; Spillway's callers take ${values.accept}. Capacity: Spillway's for intent, ${capacity.toFixed(0)} requests/s.`,
    table(['requests/s, 128 in flight', 'mlp', `intent, ${ROWS.intent} row(s)`], served),
    table(FLOOD_HEAD, flooded),
  ].join('\n\n');
  publish(text, values.section);
}

const FLOOD_HEAD = [
  'intent',
  'load',
  'in time, per second',
  'of capacity',
  'vip',
  'standard',
  'bulk',
  'vip p99 before / in it, ms',
  'refused within 10 ms',
  'recovered after, ms',
];

if (values.help) console.log(HELP);
else await main();
