import { SpillwayClientError } from './errors.ts';
import { encodeInput, type InputTensor } from './inputs.ts';
import {
  type BytesAs,
  decodeTensor,
  isDatatype,
  isTypedArray,
  type Scalar,
  type Tensor,
  tensorFromValues,
} from './tensors.ts';

/** Bodies of the Open Inference Protocol v2 over HTTP, and over NATS, which carries the same. */

export type InferBody = {
  bytes: Uint8Array;
  /** Bytes of the JSON part, if binary tensors follow it: header `inference-header-content-length`. */
  headerLength: number | undefined;
};

export type BodyOptions = {
  outputs?: readonly string[] | undefined;
  /** Ask for outputs as binary tensors. */
  binaryOutput: boolean;
};

const encoder = new TextEncoder();

/** Values go as JSON, typed arrays (and what JSON cannot say) as binary tensors behind it. */
export function writeInferBody(inputs: readonly InputTensor[], { outputs, binaryOutput }: BodyOptions): InferBody {
  const binary: Uint8Array[] = [];
  const tensors = inputs.map((input) => {
    const head = `{"name":${JSON.stringify(input.name)},"datatype":"${input.datatype}","shape":[${input.shape}]`;
    if (!needsBinary(input)) return `${head},"data":[${(input.data as Scalar[]).map(jsonOf).join(',')}]}`;
    const bytes = encodeInput(input);
    binary.push(bytes);
    return `${head},"parameters":{"binary_data_size":${bytes.byteLength}}}`;
  });
  const asked = outputs === undefined ? '' : `,"outputs":${JSON.stringify(outputs.map((name) => ({ name })))}`;
  const parameters = binaryOutput ? '"parameters":{"binary_data_output":true},' : '';
  const head = encoder.encode(`{${parameters}"inputs":[${tensors.join(',')}]${asked}}`);
  if (binary.length === 0) return { bytes: head, headerLength: undefined };
  return { bytes: concat([head, ...binary]), headerLength: head.byteLength };
}

/** JSON has no NaN and no infinity, and its texts are UTF-8. */
function needsBinary({ datatype, data }: InputTensor): boolean {
  if (isTypedArray(data)) return true;
  if (datatype === 'BYTES') return data.some((value) => typeof value !== 'string');
  return (datatype === 'FP32' || datatype === 'FP64') && !data.every(Number.isFinite);
}

const jsonOf = (value: Scalar): string => (typeof value === 'bigint' ? String(value) : JSON.stringify(value));

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((size, { byteLength }) => size + byteLength, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.byteLength;
  }
  return all;
}

/** The tensors of an answer, and what ran. */
export type InferAnswer = { model: string; version: string; outputs: Record<string, Tensor> };

type WireOutput = {
  name: string;
  datatype: string;
  shape: number[];
  parameters?: { binary_data_size?: number };
  data?: unknown;
};
type WireAnswer = { model_name?: string; model_version?: string; outputs?: WireOutput[] };

/** @param headerLength Bytes of the JSON part; undefined: all of the body. */
export function readInferBody(body: Uint8Array, headerLength: number | undefined, as: BytesAs): InferAnswer {
  const text = new TextDecoder().decode(headerLength === undefined ? body : body.subarray(0, headerLength));
  return readInferAnswer(parseJson(text), as, headerLength === undefined ? undefined : body.subarray(headerLength));
}

/** @param binary The binary tensors, in the order of the outputs. */
export function readInferAnswer(answer: unknown, as: BytesAs, binary: Uint8Array = new Uint8Array()): InferAnswer {
  const { model_name: model = '', model_version: version = '', outputs } = answer as WireAnswer;
  if (!Array.isArray(outputs)) throw unreadable('it has no outputs');
  let at = 0;
  const read = ({ name, datatype, shape, parameters, data }: WireOutput): [string, Tensor] => {
    if (!isDatatype(datatype)) throw unreadable(`output "${name}" is of type ${datatype}`);
    const size = parameters?.binary_data_size;
    if (size === undefined) {
      return [name, tensorFromValues(name, datatype, shape, [data].flat(Number.POSITIVE_INFINITY) as Scalar[], as)];
    }
    const bytes = binary.subarray(at, at + size);
    at += size;
    return [name, decodeTensor(name, datatype, shape, bytes, as)];
  };
  return { model, version, outputs: Object.fromEntries(outputs.map(read)) };
}

const unreadable = (what: string): SpillwayClientError =>
  new SpillwayClientError('INTERNAL', `the answer cannot be read: ${what}`);

type WithSource = (this: unknown, key: string, value: unknown, context: { source?: string }) => unknown;

/** Integers beyond 2⁵³ would be rounded: they become bigint, from their digits. */
const exactly: WithSource = (_key, value, { source }) =>
  typeof value === 'number' && !Number.isSafeInteger(value) && source !== undefined && /^-?\d+$/.test(source)
    ? BigInt(source)
    : value;

/** JSON of the protocol. Costs a second reading only where a tensor of 64-bit integers is in it. */
export function parseJson(text: string): unknown {
  try {
    const isExact = /"U?INT64"/.test(text) && /\d{16}/.test(text);
    return isExact ? JSON.parse(text, exactly as Parameters<typeof JSON.parse>[1]) : JSON.parse(text);
  } catch (cause) {
    throw new SpillwayClientError('INTERNAL', 'the answer cannot be read: it is no JSON', { cause });
  }
}
