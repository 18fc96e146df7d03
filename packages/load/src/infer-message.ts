import { rawContents, type TensorSource } from './inputs.ts';
import { bytesField, eachField, intField, packedField, textField } from './wire.ts';

/** The messages of the Open Inference Protocol over gRPC, as far as a load generator writes and reads them. */
export const INFER_PATH = '/inference.GRPCInferenceService/ModelInfer';
export const STREAM_PATH = '/inference.GRPCInferenceService/ModelStreamInfer';

/** Writes ModelInferRequests with raw contents. */
export function messageWriter(model: string, sources: readonly TensorSource[]): (n: number) => Buffer {
  const tensors = sources.map(({ name, datatype, shape }) =>
    bytesField(5, Buffer.concat([textField(1, name), textField(2, datatype), packedField(3, shape)])),
  );
  const head = Buffer.concat([textField(1, model), ...tensors]);
  return (n) => Buffer.concat([head, ...rawContents(sources, n)]);
}

/** `id`, to append to a request: protobuf takes fields in any order. */
export const idField = (id: string): Buffer => textField(3, id);

/** Parameter `timeout` in µs, to append to a request. */
export function timeoutParameter(ms: number): Buffer {
  const value = bytesField(2, intField(2, Math.max(1, Math.round(ms * 1_000))));
  return bytesField(4, Buffer.concat([textField(1, 'timeout'), value]));
}

/** A ModelInferResponse: what its receipt says stands in `parameters`, with `_` for `-`. */
export type InferResponse = { id: string; parameters: Map<string, string>; raw: Buffer[] };

export function readInferResponse(message: Buffer): InferResponse {
  const response: InferResponse = { id: '', parameters: new Map(), raw: [] };
  eachField(message, (field, value) => {
    if (field === 3) response.id = value.toString();
    else if (field === 4) readParameter(value, response.parameters);
    else if (field === 6) response.raw.push(value);
  });
  return response;
}

/** A ModelStreamInferResponse; `error` is empty for an answer. */
export function readStreamResponse(message: Buffer): InferResponse & { error: string } {
  let error = '';
  let inner: Buffer = Buffer.alloc(0);
  eachField(message, (field, value) => {
    if (field === 1) error = value.toString();
    else if (field === 2) inner = value;
  });
  return { ...readInferResponse(inner), error };
}

/** Texts only: flags and numbers are of no use here. */
function readParameter(entry: Buffer, into: Map<string, string>): void {
  let name = '';
  eachField(entry, (field, value) => {
    if (field === 1) name = value.toString();
    else if (field === 2) eachField(value, (arm, text) => void (arm === 3 && into.set(name, text.toString())));
  });
}

/** True if a model that answers what it was given answered something else. */
export const isWrongMessage = (raw: readonly Buffer[], sources: readonly TensorSource[], n: number): boolean =>
  sources.some((source, at) => raw[at]?.equals(source.raw(n)) !== true);
