import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Backend, RunTensor } from '../../src/core/backend.ts';
import { byLength, cheapestCuts, runCost } from '../../src/core/length-buckets.ts';
import type { ServedGraph } from '../../src/core/served-graph.ts';

const COST = { runMs: 1, stepMs: 2, mostRows: 8 };

test('a run costs what one row costs beyond a further row; rows per run are those that cost least each', () => {
  const warmed = [
    { rows: 1, runMs: 5 },
    { rows: 2, runMs: 9 },
    { rows: 4, runMs: 17 },
    { rows: 8, runMs: 40 },
  ];
  assert.deepEqual(runCost(warmed, 2), { runMs: 1, stepMs: 2, mostRows: 4 });
  assert.equal(runCost(warmed.slice(0, 1), 2), undefined);
  assert.equal(runCost([], 2), undefined);
});

test('rows are cut where another run costs less than the padding it saves, and at the most rows of a run', () => {
  assert.deepEqual(cheapestCuts([1, 1, 1, 3], COST), [3, 4]);
  assert.deepEqual(cheapestCuts([1, 2], { ...COST, runMs: 5 }), [2]);
  assert.deepEqual(cheapestCuts(new Array(20).fill(1), COST).length, 3);
  assert.deepEqual(cheapestCuts([4], COST), [1]);
});

test('no other cut of some random rows costs less', () => {
  const steps = [1, 1, 2, 2, 2, 5, 6, 6];
  const costOf = (cuts: number[]): number => {
    let [from, sum] = [0, 0];
    for (const end of cuts) {
      if (end - from > COST.mostRows) return Number.POSITIVE_INFINITY;
      sum += COST.runMs + COST.stepMs * (steps[end - 1] as number) * (end - from);
      from = end;
    }
    return sum;
  };
  const all = Array.from({ length: 2 ** 7 }, (_, bits) =>
    [1, 2, 3, 4, 5, 6, 7].filter((cut) => bits & (1 << (cut - 1))),
  );
  const least = Math.min(...all.map((cuts) => costOf([...cuts, 8])));
  assert.equal(costOf(cheapestCuts(steps, COST)), least);
});

const SPEC = { buckets: 100, maxIds: 128, wordNgrams: [1, 1], charNgrams: [1, 0], lowercase: true } as const;
const GRAPH: ServedGraph = {
  maxBatchSize: 4,
  inputs: [{ name: 'text', datatype: 'BYTES', dims: [1] }],
  outputs: [{ name: 'sum', datatype: 'FP32', dims: [1] }],
  requestInputs: [{ name: 'text', datatype: 'BYTES', dims: [1] }],
  feeds: [{ name: 'ids', datatype: 'INT32', dims: [-1] }],
  fetches: [{ name: 'sum', datatype: 'FP32', dims: [1] }],
  preprocess: { kind: 'hashed_ngrams', input: 'text', output: 'ids', spec: SPEC },
};
const WARMED = [
  { rows: 1, runMs: 1 },
  { rows: 4, runMs: 4 },
];

/** Sums the ids of each row, and remembers the shapes that it ran. */
function summing(): { backend: Backend; shapes: number[][] } {
  const shapes: number[][] = [];
  const run = async ([ids]: readonly RunTensor[]): Promise<RunTensor[]> => {
    const { shape, data } = ids as RunTensor;
    shapes.push(shape);
    const [rows = 0, width = 0] = shape;
    const sums = Float32Array.from({ length: rows }, (_, row) =>
      (data as Int32Array).subarray(row * width, (row + 1) * width).reduce((sum, id) => sum + id, 0),
    );
    return [{ name: 'sum', datatype: 'FP32', shape: [rows, 1], data: sums }];
  };
  return { backend: { provider: 'cpu', run }, shapes };
}

/** Rows of ids of 128, the first `lengths[row]` of them row + 1. */
function idsOf(lengths: readonly number[]): RunTensor {
  const data = new Int32Array(lengths.length * 128);
  for (const [row, length] of lengths.entries()) data.fill(row + 1, row * 128, row * 128 + length);
  return { name: 'ids', datatype: 'INT32', shape: [lengths.length, 128], data };
}

test('short rows run apart from long ones, and each answer stands where its row stood', async () => {
  const { backend, shapes } = summing();
  const [sum] = await byLength(GRAPH, backend, WARMED).run([idsOf([100, 3, 128, 0])]);
  assert.deepEqual(shapes, [
    [2, 64],
    [2, 128],
  ]);
  assert.deepEqual(sum, { name: 'sum', datatype: 'FP32', shape: [4, 1], data: Float32Array.of(100, 6, 384, 0) });
});

test('rows of one length run together, untouched', async () => {
  const { backend, shapes } = summing();
  await byLength(GRAPH, backend, WARMED).run([idsOf([100, 70, 128])]);
  assert.deepEqual(shapes, [[3, 128]]);
});

test('a backend stays as it is where rows are of one width, were not timed, or answer by width', () => {
  const { backend } = summing();
  const fixed = { ...GRAPH, feeds: [{ name: 'ids', datatype: 'INT32', dims: [128] }] } satisfies ServedGraph;
  const wide = { ...GRAPH, fetches: [{ name: 'sum', datatype: 'FP32', dims: [-1] }] } satisfies ServedGraph;
  const plain = { ...GRAPH, preprocess: undefined as never };
  for (const graph of [fixed, wide, plain]) assert.equal(byLength(graph, backend, WARMED), backend);
  assert.equal(byLength(GRAPH, backend, []), backend);
});
