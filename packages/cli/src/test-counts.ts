export type NamedTest = { name: string; file: string; reason: string };

/** One run of `node --test`, as `test-reporter.ts` writes it. A cancelled test and a file that crashed count as failed. */
export type TestRun = {
  workspace: string;
  passed: number;
  failed: NamedTest[];
  skipped: NamedTest[];
};

/** One command of the test run, and what was reported while it ran (nothing by a type check). */
export type StepResult = { name: string; exitCode: number; runs: TestRun[] };

export type TestTotals = { passed: number; failed: number; lines: string[] };

/** @throws SyntaxError when a run was cut off while it wrote. */
export const parseReport = (text: string): TestRun[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as TestRun);

/**
 * Sums steps up. One that failed without a failed test (a type error, a crash before the first test) counts as one failure, so
 * that "0 failed" always means that everything is well. With `allowSkips` false each skipped test counts as failed.
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
  for (const { workspace, name, reason } of skipped) {
    lines.push(
      `skipped${allowSkips ? '' : ' (not allowed in CI)'}: ${workspace}: ${name}: ${reason || 'no reason given'}`,
    );
  }
  if (!allowSkips) failed += skipped.length;
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

const sum = <T>(values: readonly T[], of: (value: T) => number): number =>
  values.reduce((total, value) => total + of(value), 0);
