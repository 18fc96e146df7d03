import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LoadResult } from './client/tally.ts';
import { median, type Run, ratio, summarize, table } from './report.ts';
import type { TargetName } from './targets.ts';

const result = (perSecond: number): LoadResult => ({
  requests: 1_000,
  allRequests: 1_200,
  perSecond,
  p50: 1,
  p90: 2,
  p99: 3,
  p999: 4,
  wrong: 0,
  failed: {},
  meanBatch: 10,
  cacheHits: 0,
  clientCpuSeconds: 0.012,
});
const run = (target: TargetName, round: number, perSecond: number): Run => ({
  target,
  connections: 128,
  round,
  result: result(perSecond),
  cpu: { gateway: 0.06 },
});

test('the median of an even number of rounds is the mean of the middle two', () => {
  assert.equal(median([4, 1, 3]), 3);
  assert.equal(median([4, 1, 3, 2]), 2.5);
});

test('rounds become one line: median rates, CPU in microseconds a request, ratios to the bare servers', () => {
  const runs = [1, 2, 3].flatMap((round) => [
    run('path', round, 10_000 * round),
    run('server', round, 40_000),
    run('mesh', round, 5_000 * round),
  ]);
  const lines = summarize(runs);
  assert.deepEqual(
    lines.map(({ target, perSecond }) => [target, perSecond]),
    [
      ['path', 20_000],
      ['server', 40_000],
      ['mesh', 10_000],
    ],
  );
  assert.equal(ratio(lines, 128, 'mesh', 'path'), 0.5);
  assert.ok(Math.abs(lines[0]!.cpuUs['gateway']! - 50) < 1e-6);
  assert.ok(Math.abs(lines[0]!.cpuUs['client']! - 10) < 1e-6);
  const [, , , , mesh] = table(lines).split('\n');
  assert.match(mesh ?? '', /Spillway, HTTP JSON +\| 10,000 .*\| 0 +\| 0\.50 +\| 0\.25 +\| 0 \/ 0/);
});
