import type { ModelRecord, TensorSpec } from '@spillway/contracts/buckets';
import { DATA_TYPES, elementCount, unpackBytes } from '@spillway/contracts/tensor';
import { bad } from './invalid-request.ts';
import type { InferRequest, TensorValue } from './request.ts';

const text = (shape: readonly number[]): string => `[${shape.join(',')}]`;
const expectedShape = (spec: TensorSpec, batches: boolean): string => text(batches ? [-1, ...spec.dims] : spec.dims);

/** Dimensions cross the mesh as 32 bits. */
const MAX_DIM = 2 ** 32 - 1;

function fits(shape: readonly number[], spec: TensorSpec, batches: boolean): boolean {
  const first = batches ? 1 : 0;
  if (shape.length !== spec.dims.length + first) return false;
  for (let i = 0; i < spec.dims.length; i += 1) {
    const wanted = spec.dims[i] as number;
    if (wanted !== -1 && shape[i + first] !== wanted) return false;
  }
  return true;
}

function checkTensor(tensor: TensorValue, spec: TensorSpec, batches: boolean): void {
  const at = `input "${tensor.name}"`;
  if (tensor.datatype !== spec.datatype) {
    throw bad(`${at}: expected datatype ${spec.datatype}, got ${tensor.datatype}`);
  }
  for (const dim of tensor.shape) {
    if (!Number.isInteger(dim) || dim < 0 || dim > MAX_DIM)
      throw bad(`${at}: shape: expected integers ≥ 0 of at most 32 bits, got ${text(tensor.shape)}`);
  }
  if (!fits(tensor.shape, spec, batches)) {
    throw bad(`${at}: expected shape ${expectedShape(spec, batches)}, got ${text(tensor.shape)}`);
  }
  const count = elementCount(tensor.shape);
  if (tensor.datatype === 'BYTES') {
    unpackBytes(tensor.data, count, tensor.name);
    return;
  }
  const wantedBytes = count * DATA_TYPES[tensor.datatype].bytes;
  if (tensor.data.byteLength !== wantedBytes) {
    throw bad(`${at}: expected ${wantedBytes} bytes for shape ${text(tensor.shape)}, got ${tensor.data.byteLength}`);
  }
}

/**
 * Holds the inputs against the model's declaration. Tensors are checked here, once; everything behind the door trusts them.
 * @returns The request's rows: the first dimension of its inputs, 1 for a model that does not batch.
 * @throws SpillwayError `INVALID_REQUEST` naming the input, what was expected and what came.
 */
export function validateInputs(request: Pick<InferRequest, 'inputs'>, model: ModelRecord): number {
  const batches = model.maxBatchSize > 0;
  let rows = -1;
  for (const spec of model.inputs) {
    const tensor = request.inputs.find((input) => input.name === spec.name);
    if (tensor === undefined) {
      throw bad(
        `inputs: expected a tensor "${spec.name}" (${spec.datatype} ${expectedShape(spec, batches)}), got none`,
      );
    }
    checkTensor(tensor, spec, batches);
    if (!batches) continue;
    const own = tensor.shape[0] as number;
    if (rows === -1) rows = own;
    else if (rows !== own) throw bad(`input "${spec.name}": expected ${rows} rows as in the other inputs, got ${own}`);
  }
  if (request.inputs.length !== model.inputs.length) {
    const known = new Set(model.inputs.map((spec) => spec.name));
    const unknown = request.inputs.find((input) => !known.has(input.name));
    if (unknown) throw bad(`inputs: the model has no input "${unknown.name}"; it has ${[...known].join(', ')}`);
    throw bad(`inputs: expected ${model.inputs.length} tensors, got ${request.inputs.length}: one was given twice`);
  }
  if (!batches) return 1;
  if (rows < 1 || rows > model.maxBatchSize) {
    throw bad(`inputs: expected 1 to ${model.maxBatchSize} rows (max_batch_size), got ${rows}`);
  }
  return rows;
}

/** Estimated cost in the unit of the model's `cost` rule. */
export function costOf(model: ModelRecord, inputs: readonly TensorValue[], rows: number): number {
  if (model.costRule === 'rows') return rows;
  let bytes = 0;
  for (const input of inputs) if (input.datatype === 'BYTES') bytes += input.data.byteLength;
  return Math.max(rows, bytes / 4);
}

/** What inputs must agree on to be concatenated: name, datatype and the shape of a row. */
export function shapesKey(inputs: readonly TensorValue[], batches: boolean): string {
  let key = '';
  for (const { name, datatype, shape } of inputs) {
    key += `${name}:${datatype}`;
    for (let i = batches ? 1 : 0; i < shape.length; i += 1) key += `,${shape[i]}`;
    key += ';';
  }
  return key;
}
