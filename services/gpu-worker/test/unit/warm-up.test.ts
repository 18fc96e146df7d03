import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import type { Backend, RunTensor } from '../../src/core/backend.ts';
import type { ServedGraph } from '../../src/core/served-graph.ts';
import { warmUp } from '../../src/core/warm-up.ts';

const x = { name: 'x', datatype: 'FP32' as const, dims: [2] };
const graph: ServedGraph = {
  maxBatchSize: 4,
  inputs: [x],
  outputs: [],
  requestInputs: [x],
  feeds: [x],
  fetches: [],
};

/** @param tookMs By rows, of one run after the other; the last stands for all that follow. */
function backendOf(tookMs: Record<number, number[]>, clock: ManualClock) {
  const runs: number[] = [];
  const backend: Backend = {
    provider: 'cpu',
    run: ([input]: readonly RunTensor[]) => {
      const rows = input?.shape[0] ?? 0;
      const times = tookMs[rows] ?? [];
      clock.advance((times.length > 1 ? times.shift() : times[0]) ?? 0);
      runs.push(rows);
      return Promise.resolve([]);
    },
  };
  return { backend, runs };
}

test('a batch costs what its fastest run took, without the first, from the largest batch down', async () => {
  const clock = new ManualClock();
  const { backend, runs } = backendOf({ 4: [90, 14, 3], 2: [9, 9, 2], 1: [0.1, 1] }, clock);
  const warmed = await warmUp(graph, backend, [], clock);
  assert.deepEqual(warmed, [
    { rows: 1, runMs: 1 },
    { rows: 2, runMs: 2 },
    { rows: 4, runMs: 3 },
  ]);
  assert.deepEqual([...new Set(runs)], [4, 2, 1]);
});

test('a slow batch runs twice and no more', async () => {
  const clock = new ManualClock();
  const { backend, runs } = backendOf({ 4: [2_000, 1_000, 1], 2: [500], 1: [250] }, clock);
  const warmed = await warmUp(graph, backend, [], clock);
  assert.deepEqual(
    warmed.map(({ runMs }) => runMs),
    [250, 500, 1_000],
  );
  assert.deepEqual(runs, [4, 4, 2, 2, 1, 1]);
});
