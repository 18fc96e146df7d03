import { type LoadReport, type PhaseReport, QUANTILES, type TimelineGroup } from '../report.ts';
import { ms } from '../report-text.ts';
import { type Band, chart, type Line, legend, PLOT } from './chart.ts';
import { axisNumber, exactScale, linearScale, logScale, type Scale } from './scale.ts';
import { colourOf, END_COLOURS, INK } from './style.ts';

const ENDS = Object.keys(END_COLOURS) as (keyof typeof END_COLOURS)[];
const ACROSS: readonly [number, number] = [PLOT.left, PLOT.right];
const UP: readonly [number, number] = [PLOT.bottom, PLOT.top];

const seconds = (value: number): string => `${axisNumber(value)} s`;

const max = (values: readonly (number | null)[]): number => values.reduce<number>((m, v) => Math.max(m, v ?? 0), 0);
const smallest = (values: readonly (number | null)[]): number =>
  values.reduce<number>((m, v) => (v === null || v <= 0 ? m : Math.min(m, v)), Number.POSITIVE_INFINITY);

/** Without what came after the end, which is a few retries. */
const planned = ({ phases }: LoadReport): PhaseReport[] => phases.filter(({ fromMs, toMs }) => toMs > fromMs);

const bandsOf = ({ phases }: LoadReport): Band[] =>
  phases.length < 2 ? [] : phases.map(({ label, fromMs, toMs }) => ({ label, from: fromMs / 1_000, to: toMs / 1_000 }));

/** Seconds up to the end of the last slice of any report: charts beside each other have the same axis. */
function timeScale(reports: readonly LoadReport[]): Scale {
  const lengths = reports.map(({ timeline }) => {
    const slices = max(Object.values(timeline.groups).map(({ offered }) => offered.length));
    return (slices * timeline.sliceMs) / 1_000;
  });
  return exactScale(Math.max(1, ...lengths), ACROSS);
}

const middles = (report: LoadReport, n: number): number[] =>
  Array.from({ length: n }, (_, slice) => ((slice + 0.5) * report.timeline.sliceMs) / 1_000);

/** A chart of each report, side by side. */
export type Row = { title: string; note: string; legend: string; charts: string[] };

/** What became of a group's attempts over time, and what was offered. */
export function outcomeRow(reports: readonly LoadReport[], group: string): Row {
  const x = timeScale(reports);
  const perSecond = (report: LoadReport, counts: readonly number[] | undefined): number[] =>
    (counts ?? []).map((count, slice) => count / secondsOf(report, slice));
  const tops = reports.map((report) => {
    const of = report.timeline.groups[group];
    const sums = of?.offered.map((offered, n) =>
      Math.max(
        offered,
        ENDS.reduce((sum, end) => sum + (of[end][n] ?? 0), 0),
      ),
    );
    return max(perSecond(report, sums));
  });
  const y = linearScale(max(tops), UP);
  const charts = reports.map((report) => {
    const of = report.timeline.groups[group];
    const at = middles(report, of?.offered.length ?? 0);
    const stack = ENDS.map((end) => ({ name: end, colour: END_COLOURS[end], values: perSecond(report, of?.[end]) }));
    const offered = perSecond(report, of?.offered);
    const lines: Line[] = [{ name: 'offered', colour: INK, points: at.map((time, n) => [time, offered[n] ?? 0]) }];
    const hints = at.map((_, n) => ({ ...edges(report, n), text: hintOf(report, of, n) }));
    return chart({
      x,
      y,
      xName: seconds,
      yLabel: 'requests/s',
      bands: bandsOf(report),
      areas: { at, stack },
      lines,
      hints,
    });
  });
  const shown = ENDS.filter((end) => reports.some((r) => r.timeline.groups[group]?.[end].some((n) => n > 0)));
  const names = [{ name: 'offered', colour: INK }, ...shown.map((end) => ({ name: end, colour: END_COLOURS[end] }))];
  return { title: group, note: '', legend: legend(names), charts };
}

/** The last slice may be cut by the end of the run. */
function secondsOf(report: LoadReport, slice: number): number {
  const { timeline } = report;
  const leftMs = (planned(report).at(-1)?.toMs ?? 0) - slice * timeline.sliceMs;
  return (leftMs > 0 ? Math.min(leftMs, timeline.sliceMs) : timeline.sliceMs) / 1_000;
}

const edges = ({ timeline }: LoadReport, slice: number): { from: number; to: number } => ({
  from: (slice * timeline.sliceMs) / 1_000,
  to: ((slice + 1) * timeline.sliceMs) / 1_000,
});

function hintOf(report: LoadReport, of: TimelineGroup | undefined, slice: number): string {
  const { from, to } = edges(report, slice);
  const counts = (['offered', ...ENDS] as const).filter((name) => (of?.[name][slice] ?? 0) > 0);
  const ends = counts.map((name) => `${name} ${of?.[name][slice]}`);
  return [`${from}–${to} s`, ...ends, `p99 ${ms(of?.p99[slice] ?? null)} ms`].join('\n');
}

/** p99 of what was answered, by group. */
export function latencyRow(reports: readonly LoadReport[], quantile: 'p50' | 'p99' | 'p999', title: string): Row {
  const all = reports.flatMap((r) => Object.values(r.timeline.groups).flatMap((group) => group[quantile]));
  const x = timeScale(reports);
  const y = logScale([smallest(all), max(all)], UP);
  const charts = reports.map((report) => {
    const lines = report.groups.map((name, index): Line => {
      const values = report.timeline.groups[name]?.[quantile] ?? [];
      const at = middles(report, values.length);
      return { name, colour: colourOf(index), points: values.map((value, n) => [at[n] as number, value]) };
    });
    return chart({ x, y, xName: seconds, yLabel: 'ms', bands: bandsOf(report), lines });
  });
  return { title, note: 'of what was answered, each second', legend: groupLegend(reports), charts };
}

const groupLegend = (reports: readonly LoadReport[]): string => {
  const [longest] = [...reports].sort((a, b) => b.groups.length - a.groups.length);
  return legend((longest?.groups ?? []).map((name, index) => ({ name, colour: colourOf(index) })));
};

const shareName = (quantile: number): string => String(Number((quantile * 100).toPrecision(6)));
const nines = (quantile: number): number => -Math.log10(1 - quantile);
const DRAWN = QUANTILES.filter((quantile) => [0.5, 0.9, 0.99, 0.999, 0.9999].includes(quantile));

/** Latency by percentile, a line for each phase. A percentile that fewer than one request lies above is not drawn. */
export function percentileRow(reports: readonly LoadReport[], group: string): Row {
  const of = (report: LoadReport) =>
    planned(report).map(({ label, groups }) => {
      const latency = groups[group]?.latency;
      const samples = latency?.samples ?? 0;
      const points = QUANTILES.map((q, n): [number, number | null] => [
        nines(q),
        samples * (1 - q) >= 1 ? (latency?.quantiles[n] ?? null) : null,
      ]);
      return { label, points };
    });
  const all = reports.flatMap((report) => of(report).flatMap(({ points }) => points.map(([, value]) => value)));
  const from = nines(0.5);
  const width = nines(0.9999) - from;
  const position = (value: number): number => PLOT.left + ((value - from) / width) * (PLOT.right - PLOT.left);
  const x: Scale = Object.assign(position, { ticks: DRAWN.map(nines) });
  const y = logScale([smallest(all), max(all)], UP);
  const charts = reports.map((report) => {
    const lines = of(report).map(({ label, points }, n): Line => ({ name: label, colour: colourOf(n + 1), points }));
    const xName = (value: number): string => `p${shareName(1 - 10 ** -value)}`;
    return chart({ x, y, yLabel: 'ms', xName, lines });
  });
  const [most] = reports.map(planned).sort((a, b) => b.length - a.length);
  const names = (most ?? []).map(({ label }, n) => ({ name: label, colour: colourOf(n + 1) }));
  return { title: group, note: '', legend: legend(names), charts };
}

/** Answers by the rows of their batch, a colour for each phase. */
export function batchRow(reports: readonly LoadReport[]): Row {
  const sizes = reports.flatMap((report) => planned(report).flatMap(({ all }) => Object.keys(all.batches).map(Number)));
  const largest = Math.max(1, ...sizes);
  const x = exactScale(largest + 1, ACROSS, 8);
  const sharesOf = (report: LoadReport): [rows: number, share: number][][] =>
    planned(report).map(({ all }) => {
      const total = Object.values(all.batches).reduce((sum, n) => sum + n, 0);
      return Object.entries(all.batches).map(([rows, n]) => [Number(rows), (100 * n) / total]);
    });
  const y = linearScale(
    max(reports.flatMap((r) => sharesOf(r).flatMap((phase) => phase.map(([, share]) => share)))),
    UP,
  );
  const charts = reports.map((report) => {
    const phases = sharesOf(report);
    const width = 1 / Math.max(1, phases.length);
    const bars = phases.flatMap((shares, phase) =>
      shares.map(([rows, share]) => ({
        from: rows - 0.5 + phase * width,
        to: rows - 0.5 + (phase + 1) * width,
        height: share,
        colour: colourOf(phase + 1),
        title: `${planned(report)[phase]?.label ?? ''}: ${share.toFixed(1)} % of the answers from batches of ${rows}`,
      })),
    );
    return chart({ x, y, yLabel: '% of answers', bars });
  });
  const [most] = reports.map(planned).sort((a, b) => b.length - a.length);
  const names = (most ?? []).map(({ label }, n) => ({ name: label, colour: colourOf(n + 1) }));
  return {
    title: 'Batch sizes',
    note: 'answers by the rows of their batch, as their receipts say',
    legend: legend(names),
    charts,
  };
}

/** One scraped gauge over time, a line for each set of labels. */
export function gaugeRow(reports: readonly LoadReport[], name: string): Row {
  const x = timeScale(reports);
  const of = (report: LoadReport) => (report.metrics?.series ?? []).filter((series) => series.name === name);
  const labels = [...new Set(reports.flatMap((report) => of(report).map((series) => series.labels)))].sort();
  const y = linearScale(max(reports.flatMap((report) => of(report).flatMap(({ values }) => values))), UP);
  const charts = reports.map((report) => {
    const lines = of(report).map((series): Line => {
      const times = report.metrics?.timesMs ?? [];
      const points = series.values.map((value, n): [number, number | null] => [(times[n] ?? 0) / 1_000, value]);
      const shown = points.filter(([at]) => x(at) <= PLOT.right);
      return { name: series.labels, colour: colourOf(labels.indexOf(series.labels)), points: shown };
    });
    return chart({ x, y, xName: seconds, yLabel: name.split('_').at(-1) ?? '', bands: bandsOf(report), lines });
  });
  const names = labels.map((label, n) => ({ name: label === '' ? name : label, colour: colourOf(n) }));
  return { title: name, note: 'read from /metrics', legend: legend(names), charts };
}
