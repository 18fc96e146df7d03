import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tensorsCodec } from '@spillway/contracts/messages';
import { unpackBytes } from '@spillway/contracts/tensor';
import type { RunTensor } from '../../src/core/backend.ts';
import type { ServedGraph } from '../../src/core/served-graph.ts';
import { splitAnswers } from '../../src/core/split.ts';
import { decodeFp32 } from '../support/tensors.ts';

const graphOf = (outputs: ServedGraph['outputs'], over: Partial<ServedGraph> = {}): ServedGraph => ({
  maxBatchSize: 8,
  inputs: [],
  outputs,
  requestInputs: [],
  feeds: [],
  fetches: outputs,
  ...over,
});
const y = { name: 'y', datatype: 'FP32' as const, dims: [2] };
const run = (name: string, shape: number[], values: readonly number[]): RunTensor => ({
  name,
  datatype: 'FP32',
  shape,
  data: Float32Array.from(values),
});

test('each request gets its own rows, in order, whatever their number', () => {
  const answers = splitAnswers(graphOf([y]), [run('y', [4, 2], [1, 2, 3, 4, 5, 6, 7, 8])], [1, 2, 1]);
  assert.deepEqual(answers.map(decodeFp32), [{ y: [1, 2] }, { y: [3, 4, 5, 6] }, { y: [7, 8] }]);
  assert.deepEqual(tensorsCodec.decode(answers[1] as Uint8Array).tensors[0]?.shape, [2, 2]);
});

test('several outputs of several types keep their names and bytes; NaN goes through', () => {
  const n = { name: 'n', datatype: 'INT64' as const, dims: [1] };
  const ids: RunTensor = { name: 'n', datatype: 'INT64', shape: [2, 1], data: BigInt64Array.from([5n, -6n]) };
  const answers = splitAnswers(graphOf([y, n]), [ids, run('y', [2, 2], [Number.NaN, 1, 2, 3])], [1, 1]);
  const [first, second] = answers.map((answer) => tensorsCodec.decode(answer).tensors);
  assert.deepEqual(
    first?.map((tensor) => tensor.name),
    ['y', 'n'],
  );
  assert.ok(Number.isNaN(Buffer.from((first?.[0]?.data ?? []) as Uint8Array).readFloatLE(0)));
  assert.equal(Buffer.from((second?.[1]?.data ?? []) as Uint8Array).readBigInt64LE(0), -6n);
});

test('texts are split by rows too', () => {
  const t = { name: 't', datatype: 'BYTES' as const, dims: [2] };
  const output: RunTensor = { name: 't', datatype: 'BYTES', shape: [2, 2], data: ['a', 'é', 'c', ''] };
  const [, second] = splitAnswers(graphOf([t]), [output], [1, 1]);
  const tensor = tensorsCodec.decode(second as Uint8Array).tensors[0];
  assert.deepEqual(
    unpackBytes(tensor?.data as Uint8Array, 2, 't').map(String),
    ['c', ''].map((text) => String(Buffer.from(text))),
  );
});

test('another number of rows than came in is the model’s failure', () => {
  const wrong = () => splitAnswers(graphOf([y]), [run('y', [1, 2], [1, 2])], [1, 1]);
  assert.throws(wrong, {
    code: 'BACKEND_FAILED',
    reason: 'output_shape',
    message: /output "y": expected 2 rows.*returned 1/,
  });
});

test('a model that does not batch gives its whole output to its one request', () => {
  const [answer] = splitAnswers(graphOf([{ ...y, dims: [] }], { maxBatchSize: 0 }), [run('y', [], [42])], [1]);
  assert.deepEqual(decodeFp32(answer as Uint8Array), { y: [42] });
});

test('the label of the highest score is added, the first of equal ones', () => {
  const label = { name: 'label', datatype: 'BYTES' as const, dims: [1] };
  const graph = graphOf([label, { name: 's', datatype: 'FP32', dims: [3] }], {
    postprocess: { kind: 'label', scores: 's', output: 'label', labels: ['a', 'b', 'c'] },
  });
  const answers = splitAnswers(graph, [run('s', [2, 3], [0.1, 0.7, 0.2, 0.5, 0.5, 0])], [1, 1]);
  const labels = answers.map((answer) => {
    const tensor = tensorsCodec.decode(answer).tensors[0];
    assert.deepEqual(tensor?.shape, [1, 1]);
    return Buffer.from(unpackBytes(tensor?.data as Uint8Array, 1, 'label')[0] as Uint8Array).toString();
  });
  assert.deepEqual(labels, ['b', 'a']);
});
