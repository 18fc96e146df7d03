import type { ModelRecord } from '@spillway/contracts/buckets';
import { DATA_TYPES, elementCount, packBytes } from '@spillway/contracts/tensor';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { bad } from './invalid-request.ts';
import type { InferCall } from './oip-infer.ts';

/**
 * The raw form of an infer request (`Inference-Header-Content-Length: 0`): the body is the data of the model's only input, one
 * row of it; all outputs come back binary. A BYTES element has no length before it.
 * @throws SpillwayError `MODEL_NOT_FOUND` without a model, `INVALID_REQUEST` if the model or the size of the body does not allow it.
 */
export function readRawCall(body: Buffer, model: ModelRecord | undefined): InferCall {
  if (model === undefined) throw new SpillwayError('MODEL_NOT_FOUND', 'no such model is served here');
  const [spec, second] = model.inputs;
  if (spec === undefined || second !== undefined) {
    throw bad(`body: raw data needs a model with one input, "${model.model}" has ${model.inputs.length}; send JSON`);
  }
  const at = `input "${spec.name}"`;
  const variable = spec.dims.filter((dim) => dim === -1).length;
  if (variable > 1) throw bad(`${at}: raw data needs at most one variable dimension, it has ${variable}; send JSON`);
  let dims = spec.dims;
  let data: Uint8Array = body;
  if (spec.datatype === 'BYTES') {
    dims = spec.dims.map((dim) => (dim === -1 ? 1 : dim));
    if (elementCount(dims) !== 1)
      throw bad(`${at}: raw data is one BYTES element, its shape has ${elementCount(dims)}`);
    data = packBytes([body]);
  } else if (variable === 1) {
    const rest = elementCount(spec.dims.filter((dim) => dim !== -1)) * DATA_TYPES[spec.datatype].bytes;
    if (rest === 0 || body.byteLength % rest !== 0) {
      throw bad(
        `body: expected a multiple of ${rest} bytes for ${at} ${spec.datatype} [${spec.dims}], got ${body.byteLength}`,
      );
    }
    dims = spec.dims.map((dim) => (dim === -1 ? body.byteLength / rest : dim));
  }
  const shape = model.maxBatchSize > 0 ? [1, ...dims] : [...dims];
  return {
    clientId: '',
    inputs: [{ name: spec.name, datatype: spec.datatype, shape, data }],
    asked: { names: [], binaryByDefault: true, binary: new Map() },
    timeoutUs: undefined,
    priority: 0,
    accept: undefined,
    receipt: undefined,
  };
}
