import { Histogram } from './histogram.ts';
import { type Cell, COUNTS, type Count, type Group, type Recorder, WINDOW_MS } from './recorder.ts';
import { type GroupReport, type Latency, type PhaseReport, QUANTILES, type Recovery, type Timeline } from './report.ts';
import { recoveredAfter } from './windows.ts';

const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value);

export const latencyOf = (histogram: Histogram): Latency => ({
  samples: histogram.total,
  quantiles: QUANTILES.map((quantile) => orNull(histogram.quantileMs(quantile))),
  max: orNull(histogram.maxMs),
});

const merged = (histograms: readonly Histogram[]): Histogram => {
  const [first] = histograms;
  if (histograms.length === 1 && first !== undefined) return first;
  const all = new Histogram();
  for (const histogram of histograms) all.add(histogram);
  return all;
};

function mergedCounts<K extends string | number>(maps: readonly Map<K, number>[]): Record<string, number> {
  const all: Record<string, number> = {};
  for (const map of maps) for (const [key, n] of map) all[String(key)] = (all[String(key)] ?? 0) + n;
  return all;
}

type Window = { from: number; to: number };

/** What several groups did in one phase, as one. */
function groupReport(groups: readonly Group[], phase: number, { from, to }: Window): GroupReport {
  const cells = groups.map(({ cells: of }) => of[phase] as Cell);
  const sums = Object.fromEntries(
    COUNTS.map((key) => [key, groups.reduce((sum, { counts }) => sum + counts[key].sum(from, to), 0)]),
  ) as Record<Count, number>;
  const total = (pick: (cell: Cell) => number): number => cells.reduce((sum, cell) => sum + pick(cell), 0);
  const batches = mergedCounts(cells.map((cell) => cell.batches));
  const given = merged(cells.map((cell) => cell.hints.given));
  return {
    ...sums,
    promptRefusals: total((cell) => cell.promptRefusals),
    latency: latencyOf(merged(cells.map((cell) => cell.latency))),
    refusalLatency: latencyOf(merged(cells.map((cell) => cell.refusalLatency))),
    queue: latencyOf(merged(cells.map((cell) => cell.queue))),
    refusedBy: mergedCounts(cells.map((cell) => cell.reasons.refused)),
    failedBy: mergedCounts(cells.map((cell) => cell.reasons.failed)),
    hints: {
      given: given.total,
      hint: latencyOf(given),
      retried: total((cell) => cell.hints.retried),
      served: total((cell) => cell.hints.served),
      refusedAgain: total((cell) => cell.hints.refusedAgain),
    },
    batches,
    meanBatch: meanBatch(batches),
    otherClass: total((cell) => cell.otherClass),
  };
}

/** Rows of a batch, on average over batches: a batch of b rows is told by about b answers. */
function meanBatch(answers: Record<string, number>): number | null {
  const entries = Object.entries(answers);
  const told = entries.reduce((sum, [, n]) => sum + n, 0);
  const batches = entries.reduce((sum, [rows, n]) => sum + n / Number(rows), 0);
  return batches === 0 ? null : told / batches;
}

/** @param cpuOf Cores used between two times, ms from the start. */
export function phaseReports(
  recorder: Recorder,
  cpuOf: (fromMs: number, toMs: number) => number | null,
): PhaseReport[] {
  const endMs = recorder.phases.at(-1)?.toMs ?? 0;
  const after = { label: 'after the end', fromMs: endMs, toMs: endMs };
  const last = Math.max(0, ...recorder.groups.map(({ counts }) => counts.attempts.length));
  return [...recorder.phases, after].flatMap(({ label, fromMs, toMs }, phase) => {
    const isLast = phase === recorder.phases.length;
    const edge = (ms: number): number => (ms === endMs ? Math.ceil(ms / WINDOW_MS) : Math.round(ms / WINDOW_MS));
    const windows = { from: edge(fromMs), to: isLast ? last : edge(toMs) };
    const all = groupReport(recorder.groups, phase, windows);
    if (isLast && all.attempts === 0) return [];
    const groups = Object.fromEntries(recorder.groups.map((g) => [g.name, groupReport([g], phase, windows)]));
    const lateness = recorder.lateness[phase] as Histogram;
    const cpu = isLast ? null : cpuOf(fromMs, toMs);
    return [{ label, fromMs, toMs, groups, all, latenessP99Ms: orNull(lateness.quantileMs(0.99)), cpu }];
  });
}

const SHARE = 0.99;
const IN_A_ROW = 10; // windows: a second

/** For each phase that a quieter one follows. */
export function recoveries(recorder: Recorder): Recovery[] {
  const { groups, phases } = recorder;
  const rateOf = (phase: number): number => {
    const { fromMs, toMs } = phases[phase] as { fromMs: number; toMs: number };
    const sum = groups.reduce((n, { counts }) => n + counts.offered.sum(fromMs / WINDOW_MS, toMs / WINDOW_MS), 0);
    return sum / (toMs - fromMs);
  };
  return phases.slice(1).flatMap(({ label, fromMs, toMs }, index) => {
    const before = phases[index] as { label: string };
    if (rateOf(index) < 1.2 * rateOf(index + 1)) return [];
    const rule = {
      from: Math.round(fromMs / WINDOW_MS),
      to: Math.round(toMs / WINDOW_MS),
      share: SHARE,
      inARow: IN_A_ROW,
    };
    const of = (some: readonly Group[]): number | null => {
      const sum = (key: Count) => (window: number) => some.reduce((n, { counts }) => n + counts[key].at(window), 0);
      const windows = recoveredAfter({ offered: sum('offered'), served: sum('served') }, rule);
      return windows === undefined ? null : windows * WINDOW_MS;
    };
    const byGroup = Object.fromEntries(groups.map((group) => [group.name, of([group])]));
    return [{ after: before.label, toPhase: label, ms: of(groups), byGroup }];
  });
}

export function timelineOf(recorder: Recorder): Timeline {
  const { groups, sliceMs, batchAnswers, batchRows } = recorder;
  const perSlice = Math.round(sliceMs / WINDOW_MS);
  const windows = Math.max(0, ...groups.map(({ counts }) => counts.attempts.length));
  const slices = Math.ceil(windows / perSlice);
  const each = <T>(value: (slice: number) => T): T[] => Array.from({ length: slices }, (_, slice) => value(slice));
  const timelineGroup = ({ counts, slices: latencies }: Group) => {
    const count = (key: Count) => each((s) => counts[key].sum(s * perSlice, (s + 1) * perSlice));
    const quantile = (q: number) => each((s) => orNull(latencies[s]?.quantileMs(q) ?? Number.NaN));
    return {
      offered: count('offered'),
      good: count('good'),
      degraded: count('degraded'),
      ticket: count('ticket'),
      late: count('late'),
      refused: count('refused'),
      failed: count('failed'),
      cancelled: count('cancelled'),
      wrong: count('wrong'),
      p50: quantile(0.5),
      p99: quantile(0.99),
      p999: quantile(0.999),
    };
  };
  return {
    sliceMs,
    groups: Object.fromEntries(groups.map((group) => [group.name, timelineGroup(group)])),
    meanBatch: each((slice) => (batchAnswers.at(slice) === 0 ? null : batchRows.at(slice) / batchAnswers.at(slice))),
  };
}
