import type { GroupReport, LoadReport, PhaseReport } from './report.ts';
import { at } from './report-parts.ts';

export const ms = (value: number | null): string => {
  if (value === null) return '–';
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
};
export const percent = (part: number, of: number, digits = 1): string =>
  of === 0 ? '–' : `${floor((part / of) * 100, digits)} %`;

/** Never rounded up: 99.996 % is not 100 %. */
const floor = (value: number, digits: number): string =>
  (Math.floor(value * 10 ** digits) / 10 ** digits).toFixed(digits);

export const COLUMNS = [
  'group',
  'requests',
  'offered/s',
  'goodput/s',
  'served',
  'degraded',
  'ticket',
  'late',
  'refused',
  'failed',
  'p50 ms',
  'p99 ms',
  'p99.9 ms',
  'p99.99 ms',
  'refused p99 ms',
  'mean batch',
] as const;

/** The cells of one group in one phase, in the order of `COLUMNS`. */
function cells(name: string, group: GroupReport, seconds: number): string[] {
  const perSecond = (n: number): string => (seconds > 0 ? (n / seconds).toFixed(1) : '–');
  return [
    name,
    String(group.offered),
    perSecond(group.offered),
    perSecond(group.good),
    percent(group.served, group.offered, 2),
    String(group.degraded),
    String(group.ticket),
    String(group.late),
    String(group.refused),
    String(group.failed + group.wrong),
    ms(at(group.latency, 0.5)),
    ms(at(group.latency, 0.99)),
    ms(at(group.latency, 0.999)),
    ms(at(group.latency, 0.9999)),
    ms(at(group.refusalLatency, 0.99)),
    group.meanBatch === null ? '–' : group.meanBatch.toFixed(1),
  ];
}

/** A row for each group that did something, and one for all of them. */
export function phaseRows({ groups }: LoadReport, phase: PhaseReport): string[][] {
  const seconds = (phase.toMs - phase.fromMs) / 1_000;
  const active = groups.filter((name) => (phase.groups[name]?.attempts ?? 0) + (phase.groups[name]?.offered ?? 0) > 0);
  const rows = active.map((name) => cells(name, phase.groups[name] as GroupReport, seconds));
  return active.length > 1 ? [...rows, cells('all', phase.all, seconds)] : rows;
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row.map((cell, c) => (c === 0 ? cell.padEnd(widths[c] ?? 0) : cell.padStart(widths[c] ?? 0))).join('  '),
  );
}

/** What one phase shows beside its table, one fact a line. */
export function phaseFacts(phase: PhaseReport, capacity: number | null): string[] {
  const { all, groups } = phase;
  const seconds = (phase.toMs - phase.fromMs) / 1_000;
  const facts: string[] = [];
  if (capacity !== null && seconds > 0) {
    const degraded =
      all.degraded === 0 ? '' : `, ${percent((all.good + all.degraded) / seconds, capacity)} with degraded answers`;
    facts.push(
      `offered ${(all.offered / seconds / capacity).toFixed(2)} × capacity, goodput ${percent(all.good / seconds, capacity)} of capacity${degraded}`,
    );
  }
  const bad = all.refused + all.failed + all.late + all.wrong;
  if (all.refused > 0) {
    facts.push(
      `refused by ${shares(all.refusedBy)}; ${percent(all.promptRefusals, bad, 2)} of what was not served was refused within 10 ms`,
    );
  }
  if (all.failed + all.wrong > 0) facts.push(`failed by ${shares(all.failedBy)}`);
  if (all.attempts > all.offered && all.offered > 0)
    facts.push(`${(all.attempts / all.offered).toFixed(2)} attempts per request`);
  const { hints } = all;
  if (hints.given > 0) facts.push(`Retry-After on ${hints.given} refusals, p50 ${ms(at(hints.hint, 0.5))} ms`);
  if (hints.retried > 0) {
    facts.push(
      `retries ${hints.retried}: ${percent(hints.served, hints.retried, 2)} served, ${hints.refusedAgain} refused again`,
    );
  }
  for (const [name, { otherClass }] of Object.entries(groups)) {
    if (otherClass > 0) facts.push(`${name}: ${otherClass} answers ran in another class than was asked for`);
  }
  return facts;
}

const shares = (counts: Record<string, number>): string =>
  Object.entries(counts)
    .sort(([, a], [, b]) => b - a)
    .slice(0, 8)
    .map(([name, n]) => `${name} ${n}`)
    .join(', ');

/** Facts of the generator itself. */
export function generatorFact({ generator }: LoadReport): string {
  const { latenessP50Ms, latenessP99Ms, latenessMaxMs, cpu, stolen, mostInFlight, connections } = generator;
  const cores = cpu === null ? '–' : `${(cpu * 100).toFixed(0)} %`;
  return `generator: sends late by p50 ${ms(latenessP50Ms)}, p99 ${ms(latenessP99Ms)}, at most ${ms(latenessMaxMs)} ms; ${cores} of a core; at most ${mostInFlight} in flight on ${connections} connections${stolenText(stolen)}`;
}

const NOTICED = 0.01;

/** A calm host is not worth a word. */
export const stolenText = (stolen: number | null): string =>
  stolen === null || stolen < NOTICED
    ? ''
    : `; the host of this machine gave ${(stolen * 100).toFixed(0)} % of its processors to others`;

export function recoveryFacts({ recovery }: LoadReport): string[] {
  const shown = (value: number | null): string => (value === null ? 'never' : `${value} ms`);
  return recovery.map(({ after, ms: all, byGroup }) => {
    const groups = Object.entries(byGroup).map(([name, value]) => `${name} ${shown(value)}`);
    return `recovery after "${after}" (100 ms windows with ≥ 99 % served, ten in a row): ${shown(all)} (${groups.join(', ')})`;
  });
}

/** The report for a terminal, line by line. */
export function reportText(report: LoadReport): string[] {
  const lines = [`${report.title}: ${report.startedAt}, ${report.machine}, seed ${report.seed}`, ...report.about];
  for (const phase of report.phases) {
    const seconds = (phase.toMs - phase.fromMs) / 1_000;
    lines.push('', `${phase.label}, ${seconds.toFixed(1)} s`, ...aligned([COLUMNS, ...phaseRows(report, phase)]));
    lines.push(...phaseFacts(phase, report.capacity).map((fact) => `  ${fact}`));
  }
  lines.push('', ...recoveryFacts(report), generatorFact(report));
  if (report.void.length > 0) {
    lines.push(
      '',
      'VOID: the generator was the limit, so this says nothing about the target',
      ...report.void.map((why) => `  ${why}`),
    );
  }
  return lines;
}
