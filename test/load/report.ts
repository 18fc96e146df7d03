import type { LoadResult } from './client/tally.ts';
import { TARGETS, type TargetName } from './targets.ts';

/** One run of one target. `cpu`: seconds by process, over all requests of the run. */
export type Run = {
  target: TargetName;
  connections: number;
  round: number;
  result: LoadResult;
  cpu: Record<string, number>;
};

/** Medians over the rounds. CPU in µs a request, by process; `client` is the load client's. */
export type Line = {
  target: TargetName;
  connections: number;
  perSecond: number;
  p50: number;
  p90: number;
  p99: number;
  p999: number;
  meanBatch: number;
  cacheHits: number;
  requests: number;
  wrong: number;
  failed: Record<string, number>;
  cpuUs: Record<string, number>;
};

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

function lineOf(runs: readonly Run[]): Line {
  const results = runs.map((run) => run.result);
  const of = (pick: (result: LoadResult) => number): number => median(results.map(pick));
  const all = sum(results.map((r) => r.allRequests));
  const failed: Record<string, number> = {};
  for (const result of results) {
    for (const [what, count] of Object.entries(result.failed)) failed[what] = (failed[what] ?? 0) + count;
  }
  const cpuUs: Record<string, number> = {};
  for (const name of Object.keys(runs[0]?.cpu ?? {})) {
    cpuUs[name] = (sum(runs.map((run) => run.cpu[name] ?? 0)) / all) * 1e6;
  }
  cpuUs['client'] = (sum(results.map((r) => r.clientCpuSeconds)) / all) * 1e6;
  const first = runs[0] as Run;
  return {
    target: first.target,
    connections: first.connections,
    perSecond: of((r) => r.perSecond),
    p50: of((r) => r.p50),
    p90: of((r) => r.p90),
    p99: of((r) => r.p99),
    p999: of((r) => r.p999),
    meanBatch: of((r) => r.meanBatch),
    cacheHits: sum(results.map((r) => r.cacheHits)),
    requests: sum(results.map((r) => r.requests)),
    wrong: sum(results.map((r) => r.wrong)),
    failed,
    cpuUs,
  };
}

/** Medians by number of connections, then in the order of the targets. */
export function summarize(runs: readonly Run[]): Line[] {
  const groups = Map.groupBy(runs, (run) => `${run.connections} ${run.target}`);
  const order = Object.keys(TARGETS);
  return [...groups.values()]
    .map(lineOf)
    .sort((a, b) => a.connections - b.connections || order.indexOf(a.target) - order.indexOf(b.target));
}

/** Ratio of two targets' requests/s at the same number of connections; NaN when one did not run. */
export function ratio(lines: readonly Line[], connections: number, target: TargetName, to: TargetName): number {
  const of = (name: TargetName) => lines.find((l) => l.connections === connections && l.target === name);
  return (of(target)?.perSecond ?? Number.NaN) / (of(to)?.perSecond ?? Number.NaN);
}

const ms = (value: number): string => (Number.isNaN(value) ? '–' : value.toFixed(value < 10 ? 2 : 1));
const times = (value: number): string => (Number.isNaN(value) ? '–' : value.toFixed(2));

const COLUMNS = [
  'connections',
  'what',
  'requests/s',
  'p50 ms',
  'p99 ms',
  'mean batch',
  'cache hits',
  '× bare path',
  '× bare server',
  'wrong / failed',
  'CPU µs a request',
];

function cells(line: Line, lines: readonly Line[]): string[] {
  const isGrpc = line.target === 'echo' || line.target === 'grpc' || line.target === 'stream';
  const against = (to: TargetName): string => times(ratio(lines, line.connections, line.target, to));
  const cpu = Object.entries(line.cpuUs)
    .filter(([, us]) => us >= 0.05)
    .map(([name, us]) => `${name} ${us.toFixed(1)}`);
  const failed = sum(Object.values(line.failed));
  const kinds = failed === 0 ? '' : ` (${Object.entries(line.failed).map(([what, n]) => `${what}: ${n}`)})`;
  return [
    String(line.connections),
    TARGETS[line.target],
    Math.round(line.perSecond).toLocaleString('en'),
    ms(line.p50),
    ms(line.p99),
    line.meanBatch === 0 ? '–' : line.meanBatch.toFixed(1),
    String(line.cacheHits),
    isGrpc ? '–' : against('path'),
    against(isGrpc ? 'echo' : 'server'),
    `${line.wrong} / ${failed}${kinds}`,
    cpu.join(', '),
  ];
}

/** A Markdown table, its columns padded so that it reads on a terminal too. The bare server of gRPC lines is the echo. */
export function table(lines: readonly Line[]): string {
  const rows = [COLUMNS, ...lines.map((line) => cells(line, lines))];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const draw = (row: readonly string[]): string =>
    `| ${row.map((cell, c) => cell.padEnd(widths[c] ?? 0)).join(' | ')} |`;
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [draw(rows[0] as string[]), rule, ...rows.slice(1).map(draw)].join('\n');
}
