import type { Bound } from '../measure/figures.ts';
import { type Summary, summarize } from '../measure/summary.ts';
import { SCENARIOS } from '../scenarios/all.ts';
import { type Done, nameOf } from './tasks.ts';

export type Row = { scenario: string; case: string; contender: string; figures: Summary[] };

/** Brings the runs together: by scenario, case and contender, in the order they were asked for. */
export function rowsOf(done: readonly Done[]): Row[] {
  const groups = new Map<string, { row: Omit<Row, 'figures'>; runs: Done[] }>();
  for (const run of done) {
    const { scenario, case: name } = run.task;
    const row = { scenario, case: name, contender: nameOf(run.task) };
    const key = JSON.stringify(row);
    const group = groups.get(key) ?? { row, runs: [] };
    group.runs.push(run);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ row, runs }) => ({ ...row, figures: summarize(runs.map((r) => r.figures)) }));
}

const number = (value: number): string => {
  if (Number.isNaN(value)) return '–';
  if (!Number.isFinite(value)) return 'never';
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toFixed(digits);
};

/** A share near 100 % needs its nines. */
export function shown({ value, unit, n }: Pick<Summary, 'value' | 'unit'> & { n?: number }): string {
  const text = unit === '%' && value > 99 && value < 100 ? value.toFixed(value > 99.9 ? 4 : 2) : number(value);
  const withUnit =
    unit === '' || text === '–' || text === 'never' ? text : unit === '×' ? `${text}×` : `${text} ${unit}`;
  return n === undefined ? withUnit : `${withUnit} (n ${n.toLocaleString('en')})`;
}

export const bound = (unit: string, limits: Bound | undefined): string => {
  if (limits === undefined) return '';
  const { atLeast, atMost } = limits;
  const text = [atLeast === undefined ? '' : `≥ ${atLeast}`, atMost === undefined ? '' : `≤ ${atMost}`];
  return `${text.filter((part) => part !== '').join(', ')} ${unit}`.trim();
};

const WORDS = { aim: 'yes', must: 'yes, not the aim', fails: '**no**', told: '' } as const;

/** A Markdown table. */
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

/** A table for each scenario: every figure beside what it must be. */
export function scenarioTables(rows: readonly Row[]): string {
  const parts: string[] = [];
  for (const { id, title } of SCENARIOS) {
    const own = rows.filter((row) => row.scenario === id);
    if (own.length === 0) continue;
    const lines = own.flatMap(({ case: name, contender, figures }) =>
      figures.map((figure, index) => [
        index === 0 ? (contender === 'spillway' ? name : `${name}, ${contender}`) : '',
        figure.name,
        shown(figure),
        figure.n === undefined && figure.seeds > 1 ? shown({ value: figure.worst, unit: figure.unit }) : '',
        bound(figure.unit, figure.must),
        bound(figure.unit, figure.aim),
        WORDS[figure.verdict],
      ]),
    );
    parts.push(
      `### ${id}: ${title}`,
      table(['case', 'figure', 'measured', 'worst seed', 'must', 'aim', 'holds'], lines),
    );
  }
  return parts.join('\n\n');
}

/** One line for each contender and case: to compare. */
export function comparison(rows: readonly Row[], figures: readonly string[]): string {
  const lines = rows.map((row) => [
    row.contender,
    row.case,
    ...figures.map((name) => {
      const figure = row.figures.find((one) => one.name === name);
      return figure === undefined ? '' : shown({ value: figure.value, unit: figure.unit });
    }),
  ]);
  return table(['what', 'load', ...figures], lines);
}

/** Figures that do not hold. */
export const failures = (rows: readonly Row[]): string[] =>
  rows.flatMap(({ scenario, case: name, contender, figures }) =>
    figures
      .filter(({ verdict }) => verdict === 'fails')
      .map((figure) => {
        const { failing, seeds, unit } = figure;
        const worst = figure.n === undefined ? `, worst ${shown({ value: figure.worst, unit })}` : '';
        const who = contender === 'spillway' ? '' : ` (${contender})`;
        return `${scenario} ${name}${who}: ${figure.name} ${shown(figure)}${worst}, must be ${bound(unit, figure.must)} (${failing} of ${seeds} seeds)`;
      }),
  );
