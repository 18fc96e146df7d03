import type { TensorSpec } from '@spillway/contracts/buckets';
import type { DataTypeName } from '@spillway/contracts/tensor';
import {
  DERIVED_MAX_BATCH_SIZE,
  type ModelDeclaration,
  type Postprocess,
  type Preprocess,
} from './model-declaration.ts';

/** An input or output of the graph itself. `dims` is the whole shape, -1 where it is free. */
export type GraphTensor = { name: string; datatype: DataTypeName; dims: number[] };
export type Graph = { inputs: GraphTensor[]; outputs: GraphTensor[] };

/**
 * A loaded graph together with its declaration: what a client sees, and how it is fed. `dims` never has the batch dimension
 * when `maxBatchSize` > 0.
 */
export type ServedGraph = {
  maxBatchSize: number;
  /** What a client sends and gets. */
  inputs: TensorSpec[];
  outputs: TensorSpec[];
  /** Tensors that must come with a request: the graph's inputs, but the text where ids are made of it. */
  requestInputs: TensorSpec[];
  /** Graph inputs in the order of `requestInputs`; a preprocessed one stands in its text's place. */
  feeds: TensorSpec[];
  /** Outputs asked of the graph. */
  fetches: TensorSpec[];
  preprocess?: Preprocess;
  postprocess?: Postprocess;
};

const withoutBatch = ({ name, datatype, dims }: GraphTensor, batches: boolean): TensorSpec => ({
  name,
  datatype,
  dims: batches ? dims.slice(1) : dims,
});

/** A graph batches if every input and every output begins with a free dimension. */
const canBatch = (graph: Graph): boolean => [...graph.inputs, ...graph.outputs].every(({ dims }) => dims[0] === -1);

/** True if a tensor of shape `of` may be called `declared`: equal, or free on either side. */
const fits = (declared: readonly number[], of: readonly number[]): boolean =>
  declared.length === of.length && declared.every((dim, i) => dim === -1 || of[i] === -1 || dim === of[i]);

const show = (dims: readonly number[]): string => `[${dims.join(', ')}]`;

/**
 * Fits a declaration to the graph of its file.
 * @throws Error naming the field of model.yaml, what was expected and what stands in the file.
 */
export function resolveGraph(declaration: ModelDeclaration, graph: Graph): ServedGraph {
  const maxBatchSize = declaration.maxBatchSize ?? (canBatch(graph) ? DERIVED_MAX_BATCH_SIZE : 0);
  const batches = maxBatchSize > 0;
  if (batches) {
    const fixed = [...graph.inputs, ...graph.outputs].find(({ dims }) => dims[0] !== -1);
    if (fixed !== undefined) {
      throw new Error(
        `max_batch_size: expected 0, got ${maxBatchSize}: "${fixed.name}" of the graph has shape ${show(fixed.dims)}, so requests cannot be concatenated`,
      );
    }
  }
  const graphInputs = graph.inputs.map((input) => withoutBatch(input, batches));
  const graphOutputs = graph.outputs.map((output) => withoutBatch(output, batches));
  const { inputs, requestInputs, feeds } = resolveInputs(declaration, graphInputs, batches);
  const { outputs, fetches } = resolveOutputs(declaration, graphOutputs);
  return {
    maxBatchSize,
    inputs,
    outputs,
    requestInputs,
    feeds,
    fetches,
    ...(declaration.preprocess && { preprocess: declaration.preprocess }),
    ...(declaration.postprocess && { postprocess: declaration.postprocess }),
  };
}

type Inputs = Pick<ServedGraph, 'inputs' | 'requestInputs' | 'feeds'>;

function resolveInputs(
  { inputs: declared, features, preprocess }: ModelDeclaration,
  graph: TensorSpec[],
  batches: boolean,
): Inputs {
  const joined = new Set(features?.tensors.map((tensor) => tensor.input));
  const made = preprocess?.output;
  const inputs =
    declared.length > 0 ? declared : graph.filter((input) => !joined.has(input.name) && input.name !== made);
  for (const [index, input] of inputs.entries()) {
    if (input.name === features?.entity || input.name === preprocess?.input) continue;
    checkTensor(`input[${index}]`, input, graph);
  }
  for (const name of joined) {
    if (!graph.some((input) => input.name === name))
      throw new Error(`features: expected an input of the graph, got "${name}"`);
  }
  const requestInputs = graph.map((input) => {
    if (joined.has(input.name)) return input;
    if (input.name === made) return textOf(preprocess as Preprocess, inputs);
    const own = inputs.find((candidate) => candidate.name === input.name);
    if (own === undefined)
      throw new Error(`input: the graph needs "${input.name}", and nothing is declared to fill it`);
    return { ...own, dims: own.dims.map((dim, i) => (dim === -1 ? (input.dims[i] ?? -1) : dim)) };
  });
  if (preprocess !== undefined) checkIds(preprocess, graph, batches);
  return { inputs, requestInputs, feeds: graph };
}

function checkIds({ output, spec }: Preprocess, graph: readonly TensorSpec[], batches: boolean): void {
  const ids = graph.find((input) => input.name === output);
  if (ids === undefined) throw new Error(`preprocess.output: expected an input of the graph, got "${output}"`);
  const dims = [...(batches ? [] : [-1]), -1, ...(spec.maxWords === undefined ? [] : [spec.maxIds])];
  if (ids.datatype !== 'INT32' || !fits(ids.dims, dims)) {
    throw new Error(
      `preprocess.output: expected an INT32 input ${show(dims)}, "${output}" of the graph is ${ids.datatype} ${show(ids.dims)}`,
    );
  }
}

function textOf(preprocess: Preprocess, inputs: readonly TensorSpec[]): TensorSpec {
  const text = inputs.find((input) => input.name === preprocess.input);
  if (text === undefined || text.datatype !== 'BYTES') {
    throw new Error(`preprocess.input: expected an input of type TYPE_STRING, got "${preprocess.input}"`);
  }
  return text;
}

function resolveOutputs(
  { outputs: declared, postprocess }: ModelDeclaration,
  graph: TensorSpec[],
): Pick<ServedGraph, 'outputs' | 'fetches'> {
  const outputs = declared.length > 0 ? declared : graph;
  for (const [index, output] of outputs.entries()) {
    if (output.name !== postprocess?.output) checkTensor(`output[${index}]`, output, graph);
  }
  const wanted = new Set(outputs.map((output) => output.name));
  if (postprocess !== undefined) {
    wanted.add(postprocess.scores);
    const scores = graph.find((output) => output.name === postprocess.scores);
    if (scores?.datatype !== 'FP32')
      throw new Error(`postprocess.scores: expected an FP32 output of the graph, got "${postprocess.scores}"`);
    const width = scores.dims.at(-1);
    if (width !== undefined && width !== -1 && width !== postprocess.labels.length) {
      throw new Error(`postprocess.labels: expected ${width} labels, got ${postprocess.labels.length}`);
    }
  }
  return { outputs, fetches: graph.filter((output) => wanted.has(output.name)) };
}

function checkTensor(at: string, tensor: TensorSpec, graph: readonly TensorSpec[]): void {
  const found = graph.find((candidate) => candidate.name === tensor.name);
  if (found === undefined) {
    const names = graph.map((candidate) => `"${candidate.name}"`).join(', ');
    throw new Error(`${at}.name: expected one of the graph's ${names}, got "${tensor.name}"`);
  }
  if (found.datatype !== tensor.datatype) {
    throw new Error(`${at}.data_type: expected ${found.datatype} as in the graph, got ${tensor.datatype}`);
  }
  if (!fits(tensor.dims, found.dims)) {
    throw new Error(`${at}.dims: expected ${show(found.dims)} as in the graph, got ${show(tensor.dims)}`);
  }
}
