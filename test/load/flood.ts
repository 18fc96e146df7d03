import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startMesh } from '@spillway/testing/mesh';
import { say } from '../support/say.ts';
import { aboutRun } from './about-run.ts';
import { AS_DEPLOYED } from './as-deployed.ts';
import { publish } from './document.ts';
import { untilServed } from './flood/mesh-metrics.ts';
import { capacityOf, type FloodRun, oneFlood } from './flood/one-flood.ts';
import { pinWorkers } from './flood/pin.ts';
import { type FloodFigures, figuresOf, figuresTable } from './flood/verdict.ts';

const HELP = `Scenario O1 on the real chain: 0.7 of capacity, then several times capacity in three classes, then 0.7 again.

  node test/load/flood.ts [options]

  --model NAME       simulated (default) or another of the repository that takes one row
  --capacity N       requests/s; if not given it is measured in a closed loop before and after each flood: offered are
                     multiples of what was measured before, goodput is a share of the mean of both
  --times LIST       multiples of capacity (default 2,5,10)
  --vip-calls N      the flood lasts until so many vip calls were offered (default 0: only --seconds counts)
  --seconds N        of the flood, at least (default 20); calm before it 30, after it 10
  --calm N           seconds of calm before it
  --deadline MS      of every request (default 1000)
  --rows N           of every request (default 1)
  --protocol P       http (default), grpc or grpc-stream
  --retry N          clients try so often, at once, whatever the answer says (default 1)
  --without LIST     of the gateway's admission: guard, quota, fair_rate, predicted_finish, queue_bound, age, brownout
  --batcher-without LIST  of the batcher: expired, late_staging, floor, gamma
  --scale LIST       such as gateway=2,batcher=2,gpu-worker=2
  --pin              the worker alone on the last core, everything else on the others
  --json PREFIX      writes PREFIX-<times>.json: reports for "./spillway load report"
  --section NAME     replaces that section of docs/benchmarks.md
  --help`;

function readOptions() {
  const { values } = parseArgs({
    options: {
      model: { type: 'string', default: 'simulated' },
      capacity: { type: 'string', default: '0' },
      times: { type: 'string', default: '2,5,10' },
      'vip-calls': { type: 'string', default: '0' },
      seconds: { type: 'string', default: '20' },
      calm: { type: 'string', default: '30' },
      deadline: { type: 'string', default: '1000' },
      rows: { type: 'string', default: '1' },
      protocol: { type: 'string', default: 'http' },
      retry: { type: 'string', default: '1' },
      without: { type: 'string', default: '' },
      'batcher-without': { type: 'string', default: '' },
      scale: { type: 'string', default: '' },
      pin: { type: 'boolean', default: false },
      json: { type: 'string', default: '' },
      section: { type: 'string', default: '' },
      help: { type: 'boolean', default: false },
    },
  });
  const number = (name: 'capacity' | 'vip-calls' | 'seconds' | 'calm' | 'deadline' | 'rows' | 'retry'): number => {
    const value = Number(values[name]);
    if (value >= 0) return value;
    throw new Error(`--${name}: expected a number, got "${values[name]}"`);
  };
  const times = values.times.split(',').map(Number);
  if (!times.every((one) => one > 0)) throw new Error(`--times: expected numbers above 0, got "${values.times}"`);
  const { protocol } = values;
  if (protocol !== 'http' && protocol !== 'grpc' && protocol !== 'grpc-stream') {
    throw new Error(`--protocol: expected http, grpc or grpc-stream, got "${protocol}"`);
  }
  const scale = Object.fromEntries(
    values.scale
      .split(',')
      .filter((part) => part !== '')
      .map((part) => [part.split('=')[0], Number(part.split('=')[1])]),
  );
  return {
    ...values,
    protocol: protocol as 'http' | 'grpc' | 'grpc-stream',
    times,
    scale,
    capacity: number('capacity'),
    vipCalls: number('vip-calls'),
    seconds: { calm: number('calm'), flood: number('seconds'), after: 10 },
    deadlineMs: number('deadline'),
    rowsEach: number('rows'),
    tries: number('retry'),
  };
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

const options = readOptions();
if (options.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  await using mesh = await startMesh({
    scale: options.scale,
    env: AS_DEPLOYED,
    serviceEnv: {
      gateway: { GATEWAY_ADMISSION_OFF: options.without },
      batcher: { BATCHER_OFF: options['batcher-without'] },
    },
  });
  if (options.pin) pinWorkers(mesh);
  const { model, deadlineMs, rowsEach } = options;
  await untilServed(mesh, model);
  const capacityNow = async (): Promise<number> => {
    // Enough to keep the worker busy: more would be refused, and refusing them would slow the rest down.
    const inFlight = Math.max(16, Math.round(128 / rowsEach));
    const load = { model, deadlineMs: 5_000, inFlight, seconds: 8, rows: rowsEach };
    const measured = options.capacity || (await capacityOf(mesh, load));
    say(`capacity ${measured.toFixed(1)} requests/s`);
    return measured;
  };
  const capacities = [await capacityNow()];
  const lines: FloodFigures[] = [];
  const rows: FloodRun['rows'][] = [];
  for (const times of options.times) {
    const retry = options.tries > 1 ? ({ kind: 'naive', tries: options.tries } as const) : ({ kind: 'none' } as const);
    const { vipCalls, seconds, protocol } = options;
    const capacity = capacities.at(-1) as number;
    const flood = {
      model,
      capacity,
      times,
      deadlineMs,
      rows: rowsEach,
      retry,
      protocol,
      vipCalls,
      seconds,
      seed: 1,
      onProgress: say,
    };
    const run = await oneFlood(mesh, flood);
    if (options.json !== '') writeFileSync(join(`${options.json}-${times}.json`), JSON.stringify(run.report));
    capacities.push(await capacityNow());
    lines.push(figuresOf(run.report, mean(capacities.slice(-2)), times));
    rows.push(run.rows);
    say(figuresTable(lines));
  }
  const late = rows.map(
    ({ ran, startedLate, wasted }) =>
      `${startedLate} of ${ran} rows began after their deadline, ${wasted} ended after it`,
  );
  const text = [
    `${aboutRun()} Model ${model}, capacity ${capacities.map((one) => one.toFixed(1)).join(', ')} requests/s${options.pin ? ' with its worker on a core of its own' : ''}, deadline ${deadlineMs} ms${rowsEach > 1 ? `, ${rowsEach} rows a request` : ''}.`,
    figuresTable(lines),
    options.times.map((times, n) => `${times} ×: ${late[n]}`).join('; '),
  ].join('\n\n');
  publish(text, options.section);
}
