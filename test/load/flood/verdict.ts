import type { GroupReport, LoadReport } from '@spillway/load/report';
import { answersPerSecond, at, groupOf, phaseOf } from '@spillway/load/report-parts';
import { stolenText } from '@spillway/load/report-text';
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
  /** null: not within the run; NaN: nothing follows the flood. */
  recoveryMs: number | null;
  void: string[];
  /** Share of the machine's processors that its host gave to others. */
  stolen: number | null;
};

const quantile = ({ latency }: GroupReport, of: Parameters<typeof at>[1]): number => at(latency, of) ?? Number.NaN;

/** @param times Multiple of `capacity` that was offered. Without a calm phase `calmP99` and `ratio` are NaN. */
export function figuresOf(report: LoadReport, capacity: number, times: number): FloodFigures {
  const flood = phaseOf(report, FLOOD);
  const calm = report.phases.find(({ label }) => label === CALM);
  const { all } = flood;
  const vip = groupOf(flood, 'vip');
  const calmP99 = calm === undefined ? Number.NaN : quantile(groupOf(calm, 'vip'), 0.99);
  const share = (name: string): number => groupOf(flood, name).served / Math.max(1, groupOf(flood, name).offered);
  const unserved = all.offered - all.served;
  const recovery = report.recovery.find(({ after, toPhase }) => after === FLOOD && toPhase === AFTER);
  return {
    times,
    capacity,
    goodput: answersPerSecond(flood) / capacity,
    degraded: all.degraded / Math.max(1, all.good + all.degraded),
    vip: {
      calls: vip.offered,
      success: vip.served / Math.max(1, vip.offered),
      p50: quantile(vip, 0.5),
      p99: quantile(vip, 0.99),
      calmP99,
      ratio: quantile(vip, 0.99) / calmP99,
    },
    served: { vip: share('vip'), standard: share('standard'), bulk: share('bulk') },
    promptRefusals: unserved === 0 ? 1 : all.promptRefusals / unserved,
    refusalP99: at(all.refusalLatency, 0.99) ?? Number.NaN,
    refusedBy: all.refusedBy,
    failedBy: all.failedBy,
    recoveryMs: recovery === undefined ? Number.NaN : recovery.ms,
    void: report.void,
    stolen: report.generator.stolen,
  };
}

export const percent = (value: number, digits = 1): string => `${(value * 100).toFixed(digits)} %`;
export const ms = (value: number): string => (Number.isNaN(value) ? '–' : value.toFixed(1));

/** That the run is void, where it is. */
export function recoveryText({ recoveryMs, stolen, void: why }: FloodFigures): string {
  if (why.length > 0) return `void: ${why.join('; ')}${stolenText(stolen)}`;
  return recoveryMs === null ? 'not within the run' : ms(recoveryMs);
}

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
      recoveryText(f),
    ];
    return first ? [titles[n] ?? '', ...cells] : cells;
  });
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
