import { randomBytes } from 'node:crypto';
import { cpus } from 'node:os';
import { yieldBackgroundThreads } from '@spillway/lifecycle/background-threads';
import { monotonicClock } from '@spillway/lifecycle/clock';
import { CpuMeter } from './cpu-meter.ts';
import { Histogram } from './histogram.ts';
import type { Kind } from './kind.ts';
import { LoadLoop } from './loop.ts';
import { startScrape } from './metrics-scrape.ts';
import { groupOrder } from './mix-text.ts';
import { type InputChoice, openTransports, type Targets } from './open-transports.ts';
import { type Progress, progressOf } from './progress.ts';
import { randomStream } from './random.ts';
import { Recorder } from './recorder.ts';
import type { LoadReport } from './report.ts';
import { kindPicker, type LoadPlan, scheduleOf } from './schedule.ts';
import { watchStolen } from './stolen.ts';
import { phaseReports, recoveries, timelineOf } from './summarize.ts';
import { whyVoid } from './void-rule.ts';
import { warmUp } from './warm-up.ts';

export type LoadOptions = {
  title?: string;
  kinds: readonly Kind[];
  plan: LoadPlan;
  targets: Targets;
  inputs?: InputChoice;
  /** Requests/s that the target serves: for the report. */
  capacity?: number;
  seed?: number;
  /** HTTP connections at most. */
  maxConnections?: number;
  /** gRPC connections, or streams, of each kind. */
  channels?: number;
  /** How long beyond its deadline an answer is waited for. */
  patienceMs?: number;
  maxInFlight?: number;
  /** Before the start, uncounted requests of each kind go out for so long. */
  warmUpMs?: number;
  /** No header or metadata of Spillway is sent. */
  plain?: boolean;
  /** /metrics of services whose gauges are read along. */
  metrics?: { urls: readonly string[]; gauges?: readonly string[] };
  onProgress?: (progress: Progress) => void;
  /** Ends the run early; what is in flight counts as cancelled. */
  signal?: AbortSignal;
};

const MAX_SLICES = 600;
const CPU_SAMPLE_MS = 100;
const SCRAPE_MS = 250;
const DEFAULTS = {
  seed: 1,
  maxConnections: 8_192,
  channels: 1,
  patienceMs: 250,
  maxInFlight: 100_000,
  warmUpMs: 500,
  plain: false,
};

/** Loads a target as planned and tells what its clients saw. @throws TargetError when the target cannot be reached before the start. */
export async function runLoad(options: LoadOptions): Promise<LoadReport> {
  yieldBackgroundThreads(); // what was sent late, others would be blamed for
  const settings = { ...DEFAULTS, ...options, inputs: options.inputs ?? {}, runId: randomBytes(4).toString('hex') };
  const { kinds, seed } = settings;
  const schedule = scheduleOf(options.plan, seed);
  await using transports = await openTransports(settings);
  const lengthMs = schedule.phases.at(-1)?.toMs ?? 0;
  const startedAt = new Date();
  const firstInput = await warmUp(kinds, (index) => transports.of(index), {
    forMs: settings.warmUpMs,
    firstInput: (startedAt.getTime() % 1e6) * 16, // another run's answers may still lie in a cache
  });
  const startMs = monotonicClock.now() + 50; // after the first timers have run
  const recorder = new Recorder({
    groups: kinds.map(({ name }) => name),
    phases: schedule.phases,
    sliceMs: 1_000 * Math.max(1, Math.ceil(lengthMs / 1_000 / MAX_SLICES)),
    startMs,
  });
  const loop = new LoadLoop({
    clock: monotonicClock,
    kinds,
    transports: kinds.map((_, index) => transports.of(index)),
    arrivals: schedule.arrivals,
    kindAt: kindPicker(kinds, schedule.phases, seed),
    random: randomStream(seed, 'clients'),
    recorder,
    startMs,
    patienceMs: settings.patienceMs,
    maxInFlight: settings.maxInFlight,
    firstInput,
  });
  const scrape =
    options.metrics &&
    startScrape({
      urls: options.metrics.urls,
      gauges: options.metrics.gauges ?? [],
      everyMs: SCRAPE_MS,
      nowMs: () => monotonicClock.now() - startMs,
    });
  const cpu = new CpuMeter();
  const stolenShare = watchStolen();
  await drive(loop, recorder, { cpu, startMs, lengthMs, options });
  const stolen = stolenShare();
  const metrics = scrape?.stop() ?? null;
  const phases = phaseReports(recorder, (fromMs, toMs) => cpu.cores(fromMs, toMs));
  const lateness = new Histogram();
  for (const histogram of recorder.lateness) lateness.add(histogram);
  const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value);
  return {
    format: 1,
    title: options.title ?? 'load',
    startedAt: startedAt.toISOString(),
    about: [schedule.about, ...kinds.map(aboutKind)],
    machine: `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'CPU'}, Node ${process.version}`,
    seed,
    capacity: options.capacity ?? null,
    void: whyVoid(phases, recorder.unsent),
    generator: {
      latenessP50Ms: orNull(lateness.quantileMs(0.5)),
      latenessP99Ms: orNull(lateness.quantileMs(0.99)),
      latenessMaxMs: orNull(lateness.maxMs),
      cpu: cpu.cores(0, lengthMs),
      stolen,
      mostInFlight: loop.mostInFlight,
      connections: transports.connections,
      unsent: recorder.unsent,
    },
    groups: groupOrder(recorder.groups.map(({ name }) => name)),
    phases,
    recovery: recoveries(recorder),
    timeline: timelineOf(recorder),
    metrics,
  };
}

function aboutKind({ name, weight, model, protocol, trafficClass, deadlineMs, retry, rows }: Kind): string {
  const deadlines = deadlineMs.map(({ value }) => value).join(' or ');
  const retries = retry.kind === 'none' ? '' : `, retries: ${retry.kind}, at most ${retry.tries} tries`;
  return `${name}: ${weight} parts, ${model} over ${protocol}, class ${trafficClass ?? "the key's"}, ${rows} row(s), deadline ${deadlines} ms${retries}`;
}

type Drive = { cpu: CpuMeter; startMs: number; lengthMs: number; options: LoadOptions };

/** Ticks until everything has ended. A timer of 1 ms costs about 1 % of a core and sends at most about 2 ms late. */
function drive(loop: LoadLoop, recorder: Recorder, { cpu, startMs, lengthMs, options }: Drive): Promise<void> {
  const { onProgress, signal } = options;
  let nextSampleMs = 0;
  let nextProgressMs = 1_000;
  const sampleCpu = (nowMs: number): void => {
    const { user, system } = process.cpuUsage();
    cpu.sample(nowMs, (user + system) / 1_000);
  };
  return new Promise((resolve, reject) => {
    const tick = (): void => {
      try {
        if (signal?.aborted) loop.stop();
        loop.tick();
        const nowMs = monotonicClock.now() - startMs;
        if (nowMs >= nextSampleMs) {
          sampleCpu(nowMs);
          nextSampleMs = nowMs + CPU_SAMPLE_MS;
        }
        if (nowMs >= nextProgressMs) {
          onProgress?.(progressOf(recorder, loop, { nowMs, lengthMs }));
          nextProgressMs += 1_000;
        }
        if (loop.finished) {
          sampleCpu(nowMs);
          resolve();
        } else setTimeout(tick, 1);
      } catch (bug) {
        reject(bug);
      }
    };
    tick();
  });
}
