/** A skipped one that is `excused` lacks what the machine's distribution does not have: no failure, not even in CI. */
export type NamedTest = { name: string; file: string; reason: string; excused?: boolean };

/** One run of `node --test`, as `test-reporter.ts` writes it. A cancelled test and a file that crashed count as failed. */
export type TestRun = {
  workspace: string;
  passed: number;
  failed: NamedTest[];
  skipped: NamedTest[];
  /** Every file with how long its process took, in the order in which they ended. */
  files: TimedFile[];
};

export type TimedFile = { file: string; ms: number };

/** One command of the test run, and what was reported while it ran (nothing by a type check). */
export type StepResult = { name: string; exitCode: number; runs: TestRun[] };

export type TestTotals = { passed: number; failed: number; lines: string[] };

/** What the reporter writes: a line when a run begins and one when it has ended. */
export type ReportLine = { pid: number } & ({ begun: string } | { ended: TestRun });

/**
 * A run that began and never ended counts as one failed test: a test that ends the process would hide all those behind it.
 * @throws SyntaxError when a run was cut off while it wrote.
 */
export function parseReport(text: string): TestRun[] {
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ReportLine);
  const ended = new Map(lines.flatMap((line) => ('ended' in line ? [[line.pid, line.ended]] : [])));
  return lines.flatMap((line) => ('begun' in line ? [ended.get(line.pid) ?? cutOff(line.begun)] : []));
}

const cutOff = (workspace: string): TestRun => ({
  workspace,
  passed: 0,
  failed: [{ name: 'the process ended before all of its tests had', file: '', reason: '' }],
  skipped: [],
  files: [],
});

/**
 * Sums steps up. One that failed without a failed test (a type error, a crash before the first test) counts as one failure, so
 * that "0 failed" always means that everything is well. With `allowSkips` false each skipped test that is not
 * excused counts as failed.
 */
export function totalsOf(steps: StepResult[], allowSkips: boolean): TestTotals {
  const lines: string[] = [];
  const runs = steps.flatMap((step) => step.runs);
  const passed = sum(runs, (run) => run.passed);
  const skipped = runs.flatMap((run) => run.skipped.map((test) => ({ ...test, workspace: run.workspace })));
  let failed = 0;
  for (const run of runs) {
    for (const { name, file } of run.failed) lines.push(`failed: ${run.workspace}: ${name} (${file})`);
  }
  for (const { workspace, name, reason, excused } of skipped) {
    const counts = !allowSkips && !excused;
    const note = counts ? ' (not allowed in CI)' : '';
    lines.push(`skipped${note}: ${workspace}: ${name}: ${reason || 'no reason given'}`);
    if (counts) failed += 1;
  }
  for (const { name, exitCode, runs: own } of steps) {
    if (exitCode !== 0) lines.push(`failed: ${name} (exit code ${exitCode})`);
    failed += Math.max(
      sum(own, (run) => run.failed.length),
      exitCode === 0 ? 0 : 1,
    );
  }
  if (runs.length === 0 && failed === 0) {
    lines.push('failed: no test has reported');
    failed = 1;
  }
  return { passed, failed, lines };
}

/** A row for each workspace: its name, and how many passed, failed, were skipped in all its runs. */
export function countsOf(steps: StepResult[]): [string, number, number, number][] {
  const byWorkspace = Map.groupBy(
    steps.flatMap(({ runs }) => runs),
    ({ workspace }) => workspace,
  );
  return [...byWorkspace].map(([workspace, runs]) => [
    workspace,
    sum(runs, (run) => run.passed),
    sum(runs, (run) => run.failed.length),
    sum(runs, (run) => run.skipped.length),
  ]);
}

/** The files that took longest, the slowest first. */
export const slowestFiles = (steps: StepResult[], count: number): TimedFile[] =>
  steps
    .flatMap(({ runs }) => runs.flatMap(({ files }) => files))
    .sort((a, b) => b.ms - a.ms)
    .slice(0, count);

const sum = <T>(values: readonly T[], of: (value: T) => number): number =>
  values.reduce((total, value) => total + of(value), 0);
