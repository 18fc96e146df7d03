import assert from 'node:assert/strict';
import { test } from 'node:test';
import { derivedDeclaration, type ModelDeclaration } from '../../src/core/model-declaration.ts';
import { type Graph, resolveGraph } from '../../src/core/served-graph.ts';

const GRAPH: Graph = {
  inputs: [{ name: 'x', datatype: 'FP32', dims: [-1, 3] }],
  outputs: [{ name: 'y', datatype: 'FP32', dims: [-1, 2] }],
};
const declare = (more: Partial<ModelDeclaration> = {}): ModelDeclaration => ({ ...derivedDeclaration('m'), ...more });
const x = { name: 'x', datatype: 'FP32' as const, dims: [3] };
const y = { name: 'y', datatype: 'FP32' as const, dims: [2] };

test('without a declaration, a free first dimension everywhere means batches of 32, and dims lose it', () => {
  const graph = resolveGraph(declare(), GRAPH);
  assert.equal(graph.maxBatchSize, 32);
  assert.deepEqual(graph.inputs, [x]);
  assert.deepEqual(graph.outputs, [y]);
});

test('a fixed first dimension, or an output without one, means no batching and whole shapes', () => {
  const fixed = resolveGraph(declare(), {
    inputs: [{ name: 'x', datatype: 'FP32', dims: [1, 1, 28, 28] }],
    outputs: [{ name: 'y', datatype: 'FP32', dims: [1, 10] }],
  });
  assert.equal(fixed.maxBatchSize, 0);
  assert.deepEqual(fixed.inputs[0]?.dims, [1, 1, 28, 28]);
  const scalar = resolveGraph(declare(), { ...GRAPH, outputs: [{ name: 'y', datatype: 'FP32', dims: [] }] });
  assert.equal(scalar.maxBatchSize, 0);
});

test('a declaration that wants to batch a fixed graph is refused by name of the field', () => {
  const fixed: Graph = { ...GRAPH, inputs: [{ name: 'x', datatype: 'FP32', dims: [1, 3] }] };
  assert.throws(
    () => resolveGraph(declare({ maxBatchSize: 4 }), fixed),
    /max_batch_size: expected 0, got 4: "x" .*\[1, 3\]/,
  );
});

test('declared tensors must be those of the graph, by name, type and dims', () => {
  const wrong = (input: Partial<typeof x>) => () => resolveGraph(declare({ inputs: [{ ...x, ...input }] }), GRAPH);
  assert.throws(wrong({ name: 'z' }), /input\[0\]\.name: expected one of the graph's "x", got "z"/);
  assert.throws(
    wrong({ datatype: 'INT64' as never }),
    /input\[0\]\.data_type: expected FP32 as in the graph, got INT64/,
  );
  assert.throws(wrong({ dims: [4] }), /input\[0\]\.dims: expected \[3\] as in the graph, got \[4\]/);
  assert.throws(() => resolveGraph(declare({ outputs: [{ ...y, dims: [2, 2] }] }), GRAPH), /output\[0\]\.dims/);
});

test('an input of the graph that nothing fills is refused', () => {
  const two: Graph = { ...GRAPH, inputs: [...GRAPH.inputs, { name: 'z', datatype: 'FP32', dims: [-1, 1] }] };
  assert.throws(() => resolveGraph(declare({ inputs: [x] }), two), /the graph needs "z", and nothing is declared/);
});

test('features fill inputs of the graph; the client sends the entity only', () => {
  const features = { entity: 'id', tensors: [{ view: 'profile', input: 'x' }] };
  const id = { name: 'id', datatype: 'BYTES' as const, dims: [1] };
  const graph = resolveGraph(declare({ inputs: [id], features }), GRAPH);
  assert.deepEqual(graph.inputs, [id]);
  assert.deepEqual(graph.requestInputs, [x]);
  const missing = { entity: 'id', tensors: [{ view: 'profile', input: 'nope' }] };
  assert.throws(() => resolveGraph(declare({ inputs: [id], features: missing }), GRAPH), /features: .*"nope"/);
});

test('text stands in the place of the ids that are made of it; labels are made of scores', () => {
  const graph: Graph = {
    inputs: [{ name: 'ids', datatype: 'INT32', dims: [-1, 8] }],
    outputs: [{ name: 'scores', datatype: 'FP32', dims: [-1, 2] }],
  };
  const spec = { buckets: 10, maxIds: 8, wordNgrams: [1, 1], charNgrams: [1, 0], lowercase: true } as const;
  const text = { name: 'text', datatype: 'BYTES' as const, dims: [1] };
  const label = { name: 'label', datatype: 'BYTES' as const, dims: [1] };
  const declaration = declare({
    inputs: [text],
    outputs: [label],
    preprocess: { kind: 'hashed_ngrams', input: 'text', output: 'ids', spec },
    postprocess: { kind: 'label', scores: 'scores', output: 'label', labels: ['a', 'b'] },
  });
  const served = resolveGraph(declaration, graph);
  assert.deepEqual(served.requestInputs, [text]);
  assert.deepEqual(served.feeds, [{ name: 'ids', datatype: 'INT32', dims: [8] }]);
  assert.deepEqual(
    served.fetches.map((fetch) => fetch.name),
    ['scores'],
  );
  const short = { ...declaration, postprocess: { ...declaration.postprocess, labels: ['a'] } } as ModelDeclaration;
  assert.throws(() => resolveGraph(short, graph), /postprocess\.labels: expected 2 labels, got 1/);
  const byWord = { ...spec, maxWords: 4 };
  const words = { ...declaration, preprocess: { ...declaration.preprocess, spec: byWord } } as ModelDeclaration;
  assert.throws(
    () => resolveGraph(words, graph),
    /preprocess\.output: expected an INT32 input \[-1, 8\], "ids" .*\[8\]/,
  );
  const wide: Graph = { ...graph, inputs: [{ name: 'ids', datatype: 'INT32', dims: [-1, -1, 8] }] };
  assert.deepEqual(resolveGraph(words, wide).feeds[0]?.dims, [-1, 8]);
});
