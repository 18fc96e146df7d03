import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CLASSES, type TrafficClass } from '@spillway/contracts/classes';
import { measureCapacity } from '@spillway/load/capacity';
import { reportPage } from '@spillway/load/html/page';
import type { Kind } from '@spillway/load/kind';
import { constantRate } from '@spillway/load/profile';
import { progressLine } from '@spillway/load/progress';
import type { GroupReport, LoadReport } from '@spillway/load/report';
import { answersPerSecond, at, groupOf, phaseOf } from '@spillway/load/report-parts';
import { runLoad } from '@spillway/load/run-load';
import type { Context } from '../context.ts';
import type { MeshState } from '../state-file.ts';
import { table } from '../table.ts';

/** It sleeps instead of running, so that the flood fits a small machine: what is shown is the mesh. */
export const FLOODED = 'simulated';
const TIMES = 5;
const SECONDS = { calm: 4, flood: 15, after: 5 };
const CALM = 0.7;
const DEADLINE_MS = 1_000;
/** More than three full batches: the model is never without work. */
const IN_FLIGHT = 96;
/** Parts of what is offered. vip stays below half of capacity: more cannot be promised. */
const PARTS: Record<TrafficClass, number> = { vip: 10, standard: 60, bulk: 30 };

const kindOf = (trafficClass: TrafficClass, key: string | undefined, deadlineMs: number): Kind => ({
  name: trafficClass,
  weight: PARTS[trafficClass],
  phaseWeights: {},
  model: FLOODED,
  protocol: 'http',
  trafficClass,
  key,
  tenant: 'dev',
  deadlineMs: [{ value: deadlineMs, weight: 1 }],
  rows: 1,
  accept: undefined,
  retry: { kind: 'none' },
  cancel: undefined,
  headers: {},
});

/**
 * Measures what the model serves, offers five times as much in three classes, and says what became of each class.
 * @returns answers that were wrong.
 */
export async function showFlood(context: Context, state: MeshState, key: string | undefined): Promise<number> {
  const targets = { http: state.endpoints.http };
  context.say(`flood: measuring the capacity of ${FLOODED}`);
  const measured = await measureCapacity({
    kind: kindOf('standard', key, 5_000),
    targets,
    inFlight: IN_FLIGHT,
    warmUpMs: 1_500,
    measureMs: 4_000,
  });
  const capacity = measured.perSecond;
  context.say(`flood: ${capacity.toFixed(0)} requests/s; now ${TIMES} times as many for ${SECONDS.flood} s`);
  const phase = (label: keyof typeof SECONDS, times: number) => ({
    label,
    pieces: constantRate(times * capacity, SECONDS[label] * 1_000),
  });
  const report = await runLoad({
    title: `${FLOODED} at ${TIMES} times its capacity`,
    kinds: CLASSES.map((trafficClass) => kindOf(trafficClass, key, DEADLINE_MS)),
    plan: { profile: [phase('calm', CALM), phase('flood', TIMES), phase('after', CALM)], process: 'poisson' },
    targets,
    capacity,
    onProgress: (progress) => context.say(progressLine(progress)),
  });
  return tell(context, report, capacity);
}

function tell(context: Context, report: LoadReport, capacity: number): number {
  const flood = phaseOf(report, 'flood');
  context.print(
    `\nFlood: ${TIMES} × the measured capacity of ${capacity.toFixed(0)} requests/s for ${SECONDS.flood} s`,
  );
  const head = [
    'class',
    'offered',
    'answered in time',
    'of it by a lighter variant',
    'refused',
    'failed',
    'p50',
    'p99',
    'refusals in 10 ms',
  ];
  const rows = CLASSES.map((name) => classRow(name, groupOf(flood, name)));
  for (const line of table(head, rows)) context.print(`  ${line}`);
  const goodput = answersPerSecond(flood) / capacity; // above 1 when lighter variants answered
  const [recovery] = report.recovery;
  context.print(
    `  goodput ${percent(goodput)} of capacity; ${recovery?.ms == null ? 'not recovered within the run' : `recovered after ${recovery.ms} ms`}`,
  );
  for (const reason of report.void) context.print(`  not to be relied on: ${reason}`);
  mkdirSync(context.dataDir, { recursive: true });
  const page = join(context.dataDir, 'flood.html');
  writeFileSync(page, reportPage([report]));
  context.print(`  report with plots: ${page}`);
  return report.phases.reduce((sum, { all }) => sum + all.wrong, 0);
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const ms = (value: number | null): string => (value === null ? '-' : `${value.toFixed(0)} ms`);

function classRow(name: string, group: GroupReport): string[] {
  const { offered, good, degraded, refused, failed, late, latency, promptRefusals } = group;
  return [
    name,
    String(offered),
    `${good + degraded} (${percent((good + degraded) / Math.max(1, offered))})`,
    String(degraded),
    String(refused),
    String(failed + late),
    ms(at(latency, 0.5)),
    ms(at(latency, 0.99)),
    refused === 0 ? '-' : percent(promptRefusals / refused),
  ];
}
