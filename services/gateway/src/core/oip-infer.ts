import { DATA_TYPES, elementCount } from '@spillway/contracts/tensor';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { type AcceptedRungs, readAccept } from './accept.ts';
import { datatypeFromJson, shapeFromJson, tensorDataToJson, tensorFromJson } from './oip-json.ts';
import type { Answer, TensorValue } from './request.ts';

/** What of an infer request concerns its door: the rest is in the internal request. */
export type AskedOutputs = {
  /** Empty: all. */
  names: string[];
  binaryByDefault: boolean;
  /** Outputs with a setting of their own. */
  binary: Map<string, boolean>;
};

export type InferCall = {
  /** The client's own label, echoed. */
  clientId: string;
  inputs: TensorValue[];
  asked: AskedOutputs;
  timeoutUs: number | undefined;
  priority: number;
  /** Rungs that the caller takes; undefined: the body says nothing. */
  accept: AcceptedRungs | undefined;
};

type Json = Record<string, unknown>;

const bad = (message: string): SpillwayError => new SpillwayError('INVALID_REQUEST', message);
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const REFUSED_PARAMETERS = ['sequence_id', 'sequence_start', 'sequence_end'];

function parseJson(text: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SpillwayError('INVALID_REQUEST', 'body: expected JSON', { cause });
  }
  if (isObject(value)) return value;
  throw bad('body: expected a JSON object with "inputs"');
}

/** 64-bit integers beyond 2⁵³ as BigInt, taken from the text: `JSON.parse` alone would round them. */
function parseJsonExactly(text: string): Json {
  const keepExact = (_key: string, value: unknown, context?: { source?: string }): unknown => {
    const source = context?.source;
    const isBig =
      typeof value === 'number' && !Number.isSafeInteger(value) && source !== undefined && /^-?\d+$/.test(source);
    return isBig ? BigInt(source) : value;
  };
  return JSON.parse(text, keepExact as (key: string, value: unknown) => unknown) as Json;
}

const isOf64Bits = (input: unknown): boolean =>
  isObject(input) && (input['datatype'] === 'INT64' || input['datatype'] === 'UINT64');

function parametersOf(value: unknown, at: string): Json {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw bad(`${at}parameters: expected an object`);
  return value;
}

function flag(value: unknown, at: string): boolean | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'boolean') return value;
  throw bad(`${at}: expected true or false`);
}

function askedOutputs(value: unknown, binaryByDefault: boolean): AskedOutputs {
  const asked: AskedOutputs = { names: [], binaryByDefault, binary: new Map() };
  if (value === undefined || value === null) return asked;
  if (!Array.isArray(value)) throw bad('outputs: expected an array');
  for (const [i, output] of value.entries()) {
    const name = isObject(output) ? output['name'] : undefined;
    if (typeof name !== 'string') throw bad(`outputs[${i}].name: expected a string`);
    const parameters = parametersOf((output as Json)['parameters'], `outputs[${i}].`);
    if (parameters['classification'] !== undefined) {
      throw new SpillwayError('UNSUPPORTED', `outputs[${i}].parameters.classification is not served`);
    }
    const binary = flag(parameters['binary_data'], `outputs[${i}].parameters.binary_data`);
    if (binary !== undefined) asked.binary.set(name, binary);
    asked.names.push(name);
  }
  return asked;
}

const MAX_TENSORS = 64;

/** Reads inputs; binary ones take their bytes from `binary`, in the order of the JSON. */
function readInputs(value: unknown, binary: Uint8Array): TensorValue[] {
  if (!Array.isArray(value)) throw bad('inputs: expected an array of tensors');
  if (value.length > MAX_TENSORS) throw bad(`inputs: expected at most ${MAX_TENSORS} tensors, got ${value.length}`);
  let at = 0;
  const inputs = value.map((input: unknown, i): TensorValue => {
    if (!isObject(input) || typeof input['name'] !== 'string') throw bad(`inputs[${i}].name: expected a string`);
    const name = input['name'];
    const where = `input "${name}"`;
    const datatype = datatypeFromJson(input['datatype'], where);
    const shape = shapeFromJson(input['shape'], where);
    const parameters = parametersOf(input['parameters'], `${where}: `);
    if (parameters['shared_memory_region'] !== undefined) {
      throw new SpillwayError('UNSUPPORTED', `${where}: shared memory is not served`);
    }
    const size = parameters['binary_data_size'];
    if (size === undefined || size === null) return tensorFromJson(name, datatype, shape, input['data']);
    if (!Number.isSafeInteger(size) || (size as number) < 0)
      throw bad(`${where}: binary_data_size: expected an integer ≥ 0`);
    const fixed = DATA_TYPES[datatype].bytes;
    if (fixed > 0 && size !== elementCount(shape) * fixed) {
      throw bad(`${where}: binary_data_size: expected ${elementCount(shape) * fixed} for its shape, got ${size}`);
    }
    const end = at + (size as number);
    if (end > binary.byteLength) throw bad(`${where}: binary_data_size reaches past the end of the body`);
    const data = binary.subarray(at, end);
    at = end;
    return { name, datatype, shape, data };
  });
  if (at !== binary.byteLength) {
    throw bad(`body: expected ${at} bytes of binary tensors after the JSON, got ${binary.byteLength}`);
  }
  return inputs;
}

function integer(value: unknown, at: string): number {
  const number = typeof value === 'string' ? Number(value) : value;
  if (Number.isSafeInteger(number) && (number as number) >= 0) return number as number;
  throw bad(`${at}: expected an integer ≥ 0`);
}

/**
 * Body of `POST /v2/models/{m}/infer`.
 * @param headerLength Bytes of the JSON part, from `Inference-Header-Content-Length`; undefined: the whole body is JSON.
 */
export function readInferCall(body: Buffer, headerLength: number | undefined): InferCall {
  if (headerLength !== undefined && headerLength > body.byteLength) {
    throw bad(`inference-header-content-length: expected at most ${body.byteLength} (the body), got ${headerLength}`);
  }
  const text = headerLength === undefined ? body.toString('utf8') : body.toString('utf8', 0, headerLength);
  let json = parseJson(text);
  const given = json['inputs'];
  if (Array.isArray(given) && given.some(isOf64Bits)) json = parseJsonExactly(text);
  const parameters = parametersOf(json['parameters'], '');
  for (const name of REFUSED_PARAMETERS) {
    if (parameters[name]) throw new SpillwayError('UNSUPPORTED', `parameters.${name}: sequences are not served`);
  }
  const clientId = json['id'] ?? '';
  if (typeof clientId !== 'string') throw bad('id: expected a string');
  const inputs = readInputs(
    json['inputs'],
    headerLength === undefined ? body.subarray(body.length) : body.subarray(headerLength),
  );
  const asked = askedOutputs(
    json['outputs'],
    flag(parameters['binary_data_output'], 'parameters.binary_data_output') ?? false,
  );
  const timeout = parameters['timeout'];
  const priority = parameters['priority'];
  const accept = parameters['spillway_accept'];
  if (accept !== undefined && accept !== null && typeof accept !== 'string') {
    throw bad('parameters.spillway_accept: expected a text such as "wait,degraded"');
  }
  return {
    clientId,
    inputs,
    asked,
    timeoutUs:
      timeout === undefined || timeout === null ? undefined : integer(timeout, 'parameters.timeout') || undefined, // 0: none
    priority: priority === undefined || priority === null ? 0 : integer(priority, 'parameters.priority'),
    accept: typeof accept === 'string' ? readAccept(accept, 'parameters.spillway_accept') : undefined,
  };
}

/** The outputs that were asked for. @throws SpillwayError `INVALID_REQUEST` for one that the model has not. */
export function selectOutputs(answer: Answer, asked: Pick<AskedOutputs, 'names'>): TensorValue[] {
  if (asked.names.length === 0) return answer.outputs;
  return asked.names.map((name) => {
    const output = answer.outputs.find((candidate) => candidate.name === name);
    if (output !== undefined) return output;
    throw bad(`outputs: the model has no output "${name}"; it has ${answer.outputs.map((o) => o.name).join(', ')}`);
  });
}

/** `headerLength` is set when binary tensors follow the JSON. */
export type InferBody = { body: string | Buffer; headerLength: number | undefined };

export function writeInferAnswer(answer: Answer, clientId: string, asked: AskedOutputs): InferBody {
  const { version, degraded } = answer.receipt;
  let json = `{"model_name":"${answer.model}","model_version":"${version}"`;
  if (clientId !== '') json += `,"id":${JSON.stringify(clientId)}`;
  if (degraded !== '') json += `,"parameters":{"spillway_degraded":"${degraded}"}`;
  json += ',"outputs":[';
  const binary: Uint8Array[] = [];
  selectOutputs(answer, asked).forEach((output, i) => {
    json += `${i === 0 ? '' : ','}{"name":${JSON.stringify(output.name)},"datatype":"${output.datatype}","shape":[${output.shape.join(',')}]`;
    if (asked.binary.get(output.name) ?? asked.binaryByDefault) {
      binary.push(output.data);
      json += `,"parameters":{"binary_data_size":${output.data.byteLength}}}`;
    } else json += `,"data":[${tensorDataToJson(output)}]}`;
  });
  json += ']}';
  if (binary.length === 0) return { body: json, headerLength: undefined };
  const head = Buffer.from(json);
  return { body: Buffer.concat([head, ...binary]), headerLength: head.byteLength };
}
