import { parseArgs } from 'node:util';
import { CLASSES } from '@spillway/contracts/classes';
import { MAX_FRAMES_PER_MODEL, workStream } from '@spillway/contracts/streams';
import { constantRate } from '@spillway/load/profile';
import { progressLine } from '@spillway/load/progress';
import { phaseOf } from '@spillway/load/report-parts';
import { type Mesh, startMesh } from '@spillway/testing/mesh';
import { connect } from 'nats';
import { table } from '../sim/run/report.ts';
import { repositoryOf } from '../support/model-repository.ts';
import { say } from '../support/say.ts';
import { aboutRun } from './about-run.ts';
import { AS_DEPLOYED } from './as-deployed.ts';
import { pidsOf, residentOf, withChildren } from './cpu.ts';
import { publish } from './document.ts';
import { untilServed } from './flood/mesh-metrics.ts';
import { FLOOD, floodMix } from './flood/mix.ts';
import { runFlood } from './flood/one-flood.ts';
import { median } from './report.ts';
import { MODEL, WORKER_CAPACITY } from './scenarios/scenario.ts';

const HELP = `What the processes hold, and what waits, while nearly everything is refused.

  node test/load/memory.ts [options]

  --times N        of capacity (default 10)
  --settle N       seconds of it before what is held is looked at: heaps grow to what traffic needs (default 60)
  --seconds N      between the two ten seconds that are compared (default 60)
  --section NAME   replaces that section of docs/benchmarks.md
  --help`;

const { values } = parseArgs({
  options: {
    times: { type: 'string', default: '10' },
    settle: { type: 'string', default: '60' },
    seconds: { type: 'string', default: '60' },
    section: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});

const SPAN_S = 10;
const DEADLINE_MS = 1_000;

type Sample = { second: number; mib: Record<string, number> };

/** Most frames that a stream of work held at any time, asked twice a second. */
async function watchStreams(mesh: Mesh): Promise<AsyncDisposable & { most: Map<string, number> }> {
  const nc = await connect({ servers: mesh.nats.url });
  const manager = await nc.jetstreamManager();
  const most = new Map<string, number>();
  const look = async (): Promise<void> => {
    for (const name of CLASSES.map(workStream)) {
      const { state } = await manager.streams.info(name);
      most.set(name, Math.max(most.get(name) ?? 0, state.messages));
    }
  };
  const timer = setInterval(() => void look().catch((error: Error) => say(error.message)), 500);
  return {
    most,
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await nc.close();
    },
  };
}

async function main(): Promise<void> {
  const [times, seconds, settle] = [Number(values.times), Number(values.seconds), Number(values.settle)];
  await using models = await repositoryOf([MODEL]);
  await using mesh = await startMesh({ env: AS_DEPLOYED, models: models.dir });
  await untilServed(mesh, MODEL);
  const pids = withChildren(pidsOf(mesh));
  const before = residentOf(pids);
  const samples: Sample[] = [];
  await using streams = await watchStreams(mesh);
  const lengthMs = 1_000 * (settle + SPAN_S + seconds);
  const { report } = await runFlood(mesh, {
    kinds: floodMix({ model: MODEL, keys: mesh.keys, capacity: WORKER_CAPACITY, times, deadlineMs: DEADLINE_MS }),
    plan: { profile: [{ label: FLOOD, pieces: constantRate(times * WORKER_CAPACITY, lengthMs) }], process: 'poisson' },
    capacity: WORKER_CAPACITY,
    metrics: { urls: mesh.of('batcher').map(({ health }) => `http://${health}/metrics`), gauges: [] },
    onProgress: (progress) => {
      say(progressLine(progress));
      samples.push({ second: progress.atMs / 1_000, mib: residentOf(pids) });
    },
  });
  const medianOf = (name: string, fromS: number): number =>
    median(samples.filter(({ second }) => second >= fromS && second < fromS + SPAN_S).map(({ mib }) => mib[name] ?? 0));
  const memory = Object.keys(pids).map((name) => {
    const [early, late] = [medianOf(name, settle), medianOf(name, settle + seconds)];
    return [name, ...[before[name] ?? 0, early, late].map((mib) => mib.toFixed(0)), (late / early).toFixed(2)];
  });
  /** Rows that wait at batchers are what is read without being asked for. */
  const rowsHeld = (trafficClass: string): number =>
    Math.max(
      0,
      ...(report.metrics?.series ?? [])
        .filter(({ labels }) => labels.split(' ').includes(trafficClass))
        .flatMap((series) => series.values.map((value) => value ?? 0)),
    );
  const waiting = CLASSES.map((name) => [
    name,
    `${streams.most.get(workStream(name)) ?? '–'} (${MAX_FRAMES_PER_MODEL.toLocaleString('en')})`,
    `${rowsHeld(name)} (${Math.floor((WORKER_CAPACITY * DEADLINE_MS) / 1_000)})`,
  ]);
  const { all } = phaseOf(report, FLOOD);
  const text = [
    `${aboutRun()} Model ${MODEL} at ${times} times its capacity for ${lengthMs / 1_000} s: ${all.offered} requests, ${all.refused} refused, ${all.served} answered, ${all.failed + all.late} failed or late${report.void.length > 0 ? `; ${report.void.join('; ')}` : ''}.`,
    table(['resident, MiB', 'before', `${settle} s into it`, `${seconds} s later`, 'ratio (≤ 1.1)'], memory),
    table(['most that waited (bound)', 'frames in the stream', 'rows at the batcher'], waiting),
  ].join('\n\n');
  publish(text, values.section);
}

if (values.help) console.log(HELP);
else await main();
