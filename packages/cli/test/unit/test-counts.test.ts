import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countsOf, parseReport, slowestFiles, type TestRun, totalsOf } from '../../src/test-counts.ts';

const run = (passed: number, failed: string[] = [], skipped: string[] = []): TestRun => {
  const named = (name: string) => ({ name, file: 'a.test.ts', reason: 'needs a GPU' });
  return { workspace: '@spillway/a', passed, failed: failed.map(named), skipped: skipped.map(named), files: [] };
};
const step = (exitCode: number, ...runs: TestRun[]) => ({ name: 'a step', exitCode, runs });

test('runs are summed up, and failures are named', () => {
  const { passed, failed, lines } = totalsOf([step(1, run(3), run(2, ['x is y']))], true);
  assert.deepEqual([passed, failed], [5, 1]);
  assert.ok(lines.includes('failed: @spillway/a: x is y (a.test.ts)'));
});

test('a step that failed without a failed test is one failure', () => {
  assert.equal(totalsOf([step(2), step(0, run(3))], true).failed, 1);
  assert.equal(totalsOf([step(2), step(1, run(3, ['x', 'y']))], true).failed, 3);
});

test('no report at all is a failure', () => {
  assert.equal(totalsOf([step(0)], true).failed, 1);
});

test('a skipped test is named with its reason, and fails where skips are not allowed', () => {
  const allowed = totalsOf([step(0, run(3, [], ['on a GPU']))], true);
  assert.deepEqual([allowed.passed, allowed.failed], [3, 0]);
  assert.deepEqual(allowed.lines, ['skipped: @spillway/a: on a GPU: needs a GPU']);
  assert.equal(totalsOf([step(0, run(3, [], ['on a GPU']))], false).failed, 1);
});

test('the runs of a workspace are one row', () => {
  assert.deepEqual(countsOf([step(0, run(3)), step(1, run(2, ['x'], ['y']))]), [['@spillway/a', 5, 1, 1]]);
});

test('the slowest files come first, whatever workspace they are of', () => {
  const timed = (...files: [string, number][]) => ({ ...run(1), files: files.map(([file, ms]) => ({ file, ms })) });
  const steps = [step(0, timed(['a', 10], ['b', 30])), step(0, timed(['c', 20]))];
  assert.deepEqual(
    slowestFiles(steps, 2).map(({ file }) => file),
    ['b', 'c'],
  );
});

test('a report has a line for the beginning and the end of each run', () => {
  const runs = [run(1), run(2, ['x'])];
  const lines = runs.flatMap((ended, pid) => [
    { pid, begun: '@spillway/a' },
    { pid, ended },
  ]);
  assert.deepEqual(parseReport(`${lines.map((line) => JSON.stringify(line)).join('\n')}\n`), runs);
});

test('a run that began and did not end is a failure', () => {
  const [cut] = parseReport('{"pid":1,"begun":"@spillway/a"}\n');
  assert.equal(totalsOf([step(0, cut!)], true).failed, 1);
});
