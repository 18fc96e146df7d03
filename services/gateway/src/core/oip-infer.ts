import { DATA_TYPES, elementCount } from '@spillway/contracts/tensor';
import { addClasses, addOutput, type OutputSelection, selectOutputs } from './asked-outputs.ts';
import { bad } from './invalid-request.ts';
import { parseObject, parseObjectExactly, textOf } from './json-body.ts';
import { datatypeFromJson, shapeFromJson, tensorDataToJson, tensorFromJson } from './oip-json.ts';
import {
  flag,
  isObject,
  type Json,
  type RequestParameters,
  requestParameters,
  tensorParameters,
  wholeNumber,
} from './oip-parameters.ts';
import { saidInBody } from './receipt-fields.ts';
import type { Answer, TensorValue } from './request.ts';

/** What of an infer request concerns its door: the rest is in the internal request. */
export type AskedOutputs = OutputSelection & {
  binaryByDefault: boolean;
  /** Outputs with a setting of their own. */
  binary: Map<string, boolean>;
};

export type InferCall = Omit<RequestParameters, 'binaryByDefault'> & {
  /** The client's own label, echoed. */
  clientId: string;
  inputs: TensorValue[];
  asked: AskedOutputs;
};

const isOf64Bits = (input: unknown): boolean =>
  isObject(input) && (input['datatype'] === 'INT64' || input['datatype'] === 'UINT64');

function askedOutputs(value: unknown, binaryByDefault: boolean): AskedOutputs {
  const asked: AskedOutputs = { names: [], binaryByDefault, binary: new Map() };
  if (value === undefined || value === null) return asked;
  if (!Array.isArray(value)) throw bad('outputs: expected an array');
  for (const [i, output] of value.entries()) {
    const name = isObject(output) ? output['name'] : undefined;
    if (typeof name !== 'string') throw bad(`outputs[${i}].name: expected a string`);
    addOutput(asked, name);
    const where = `output "${name}"`;
    const parameters = tensorParameters((output as Json)['parameters'], where);
    const classes = wholeNumber(parameters['classification'], `${where}: parameters.classification`);
    if (classes !== undefined) addClasses(asked, name, classes);
    const binary = flag(parameters['binary_data'], `${where}: parameters.binary_data`);
    if (binary !== undefined) asked.binary.set(name, binary);
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
    const size = tensorParameters(input['parameters'], where)['binary_data_size'];
    if (size === undefined || size === null) return tensorFromJson(name, datatype, shape, input['data']);
    if (input['data'] !== undefined && input['data'] !== null) {
      throw bad(`${where}: expected either data or binary_data_size, got both`);
    }
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

/**
 * Body of `POST /v2/models/{m}/infer`.
 * @param headerLength Bytes of the JSON part, from `Inference-Header-Content-Length`; undefined: the whole body is JSON.
 */
export function readInferCall(body: Buffer, headerLength: number | undefined): InferCall {
  if (headerLength !== undefined && headerLength > body.byteLength) {
    throw bad(`inference-header-content-length: expected at most ${body.byteLength} (the body), got ${headerLength}`);
  }
  const end = headerLength ?? body.byteLength;
  return readInferJson(parseInferJson(textOf(body, end)), body.subarray(end));
}

/** The JSON of an infer request; where a tensor has 64 bits, with its integers exactly. */
export function parseInferJson(text: string): Json {
  const json = parseObject(text);
  const given = json['inputs'];
  return Array.isArray(given) && given.some(isOf64Bits) ? parseObjectExactly(text) : json;
}

/** @param binary What follows the JSON: the bytes of binary tensors. */
export function readInferJson(json: Json, binary: Uint8Array): InferCall {
  const { binaryByDefault, timeoutUs, priority, accept, receipt } = requestParameters(json['parameters']);
  const clientId = json['id'] ?? '';
  if (typeof clientId !== 'string') throw bad('id: expected a string');
  const inputs = readInputs(json['inputs'], binary);
  const asked = askedOutputs(json['outputs'], binaryByDefault);
  return { clientId, inputs, asked, timeoutUs, priority, accept, receipt };
}

/** `headerLength` is set when binary tensors follow the JSON. */
export type InferBody = { body: string | Buffer; headerLength: number | undefined };

/** @param receipt What goes into the answer's parameters; undefined: only that it is degraded, if it is. */
export function writeInferAnswer(
  answer: Answer,
  clientId: string,
  asked: AskedOutputs,
  receipt?: Record<string, string>,
): InferBody {
  const { version, degraded } = answer.receipt;
  let json = `{"model_name":"${answer.model}","model_version":"${version}"`;
  if (clientId !== '') json += `,"id":${JSON.stringify(clientId)}`;
  const said = saidInBody(receipt, degraded);
  if (said !== undefined) json += `,"parameters":${JSON.stringify(said)}`;
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
