import { type GroupReport, type LoadReport, type PhaseReport, QUANTILES } from '@spillway/load/report';
import { AFTER, CALM, FLOOD } from './mix.ts';

/** What one flood showed; shares from 0 to 1, times in ms. */
export type FloodFigures = {
  times: number;
  capacity: number;
  goodput: number;
  degraded: number;
  vip: { calls: number; success: number; p50: number; p99: number; calmP99: number; ratio: number };
  served: Record<'vip' | 'standard' | 'bulk', number>;
  /** Of what was not served: refused, and within 10 ms. */
  promptRefusals: number;
  refusalP99: number;
  refusedBy: Record<string, number>;
  failedBy: Record<string, number>;
  recoveryMs: number | null;
  void: string[];
};

const P50 = QUANTILES.indexOf(0.5);
const P99 = QUANTILES.indexOf(0.99);

const phaseOf = (report: LoadReport, label: string): PhaseReport => {
  const phase = report.phases.find((one) => one.label === label);
  if (phase === undefined) throw new Error(`the report has no phase ${label}`);
  return phase;
};
const groupOf = (phase: PhaseReport, name: string): GroupReport => {
  const group = phase.groups[name];
  if (group === undefined) throw new Error(`the report has no group ${name}`);
  return group;
};
const quantile = (group: GroupReport, at: number): number => group.latency.quantiles[at] ?? Number.NaN;

/** @param times Multiple of `capacity` that was offered. */
export function figuresOf(report: LoadReport, capacity: number, times: number): FloodFigures {
  const [calm, flood] = [phaseOf(report, CALM), phaseOf(report, FLOOD)];
  const seconds = (flood.toMs - flood.fromMs) / 1_000;
  const { all } = flood;
  const vip = groupOf(flood, 'vip');
  const calmP99 = quantile(groupOf(calm, 'vip'), P99);
  const share = (name: string): number => groupOf(flood, name).served / Math.max(1, groupOf(flood, name).offered);
  const unserved = all.offered - all.served;
  return {
    times,
    capacity,
    goodput: (all.good + all.degraded) / seconds / capacity,
    degraded: all.degraded / Math.max(1, all.good + all.degraded),
    vip: {
      calls: vip.offered,
      success: vip.served / Math.max(1, vip.offered),
      p50: quantile(vip, P50),
      p99: quantile(vip, P99),
      calmP99,
      ratio: quantile(vip, P99) / calmP99,
    },
    served: { vip: share('vip'), standard: share('standard'), bulk: share('bulk') },
    promptRefusals: unserved === 0 ? 1 : all.promptRefusals / unserved,
    refusalP99: all.refusalLatency.quantiles[P99] ?? Number.NaN,
    refusedBy: all.refusedBy,
    failedBy: all.failedBy,
    recoveryMs: report.recovery.find(({ after, toPhase }) => after === FLOOD && toPhase === AFTER)?.ms ?? null,
    void: report.void,
  };
}

const percent = (value: number, digits = 1): string => `${(value * 100).toFixed(digits)} %`;
const ms = (value: number | null): string => (value === null || Number.isNaN(value) ? '–' : `${value.toFixed(1)}`);

const HEAD = [
  '×',
  'goodput',
  'vip calls',
  'vip success',
  'vip p50/p99 ms',
  'p99 / calm',
  'standard',
  'bulk',
  'refused ≤ 10 ms',
  'refusal p99 ms',
  'recovery ms',
];

/** A Markdown table, one line for each flood. */
export function figuresTable(lines: readonly FloodFigures[], titles: readonly string[] = []): string {
  const first = titles.length > 0;
  const head = first ? ['', ...HEAD] : HEAD;
  const rows = lines.map((f, n) => {
    const cells = [
      String(f.times),
      percent(f.goodput) + (f.degraded > 0 ? ` (${percent(f.degraded, 0)} degraded)` : ''),
      String(f.vip.calls),
      percent(f.vip.success, 3),
      `${ms(f.vip.p50)} / ${ms(f.vip.p99)}`,
      f.vip.ratio.toFixed(2),
      percent(f.served.standard),
      percent(f.served.bulk),
      percent(f.promptRefusals, 2),
      ms(f.refusalP99),
      f.void.length > 0 ? `void: ${f.void.join('; ')}` : ms(f.recoveryMs),
    ];
    return first ? [titles[n] ?? '', ...cells] : cells;
  });
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
