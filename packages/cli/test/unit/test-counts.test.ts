import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseReport, type TestRun, totalsOf } from '../../src/test-counts.ts';

const run = (passed: number, failed: string[] = [], skipped: string[] = []): TestRun => {
  const named = (name: string) => ({ name, file: 'a.test.ts', reason: 'needs a GPU' });
  return { workspace: '@spillway/a', passed, failed: failed.map(named), skipped: skipped.map(named) };
};
const ok = { name: 'tests', exitCode: 0 };
const bad = { name: 'tests', exitCode: 1 };

test('runs are summed up, and failures are named', () => {
  const { passed, failed, lines } = totalsOf([run(3), run(2, ['x is y'])], [bad], true);
  assert.deepEqual([passed, failed], [5, 1]);
  assert.ok(lines.includes('failed: @spillway/a: x is y (a.test.ts)'));
});

test('a step that failed without a failed test is one failure', () => {
  assert.equal(totalsOf([run(3)], [{ name: 'types and style', exitCode: 2 }, ok], true).failed, 1);
});

test('no report at all is a failure', () => {
  assert.equal(totalsOf([], [ok], true).failed, 1);
});

test('a skipped test is named with its reason, and fails where skips are not allowed', () => {
  const allowed = totalsOf([run(3, [], ['on a GPU'])], [ok], true);
  assert.deepEqual([allowed.passed, allowed.failed], [3, 0]);
  assert.deepEqual(allowed.lines, ['skipped: @spillway/a: on a GPU: needs a GPU']);
  assert.equal(totalsOf([run(3, [], ['on a GPU'])], [ok], false).failed, 1);
});

test('a report has one run in each line', () => {
  const runs = [run(1), run(2, ['x'])];
  assert.deepEqual(parseReport(`${runs.map((r) => JSON.stringify(r)).join('\n')}\n`), runs);
});
