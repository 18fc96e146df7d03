import type { ModelRecord, TensorSpec } from '@spillway/contracts/buckets';
import { elementCount } from '@spillway/contracts/tensor';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { bad } from './invalid-request.ts';
import { parseFor } from './json-body.ts';
import { tensorDataToJson, tensorFromJson } from './oip-json.ts';
import { isObject, type RequestParameters, requestParameters } from './oip-parameters.ts';
import { depthOf, describeInputs, rowShape } from './plain-infer.ts';
import { saidInBody } from './receipt-fields.ts';
import type { Answer, TensorValue } from './request.ts';

/** Triton's generate extension: one row, its tensors as members of the body, whatever the model does with them. */
export type GenerateCall = Omit<RequestParameters, 'binaryByDefault'> & {
  /** The client's own label, echoed. */
  clientId: string;
  inputs: TensorValue[];
  /** The output that the answer calls `text_output`; undefined: each has its own name. */
  textOutput: string | undefined;
};

/** Parameters that mean the same at every door, also where an input of the model has their name. */
const EVERYWHERE = /^(priority|timeout|spillway_.*)$/;
/** Members of the body that are no inputs. */
const RESERVED = ['id', 'parameters'];
/** Characters of a member's name that an error repeats. */
const MAX_SHOWN = 64;
const TEXT_INPUT = 'text_input';

/**
 * Body of `POST /v2/models/{m}/generate` and `…/generate_stream`. Members are inputs by name, at the top or in `parameters`; what else
 * is in `parameters` are the parameters of any infer request. `text_input` is also the only BYTES input of a model that has
 * none of that name.
 * @throws SpillwayError `INVALID_REQUEST` naming the member, `MODEL_NOT_FOUND` without a model.
 */
export function readGenerateCall(body: Buffer, model: ModelRecord | undefined): GenerateCall {
  if (model === undefined) throw new SpillwayError('MODEL_NOT_FOUND', 'no such model is served here');
  const json = parseFor(model, body);
  const clientId = json['id'] ?? '';
  if (typeof clientId !== 'string') throw bad('id: expected a string');
  const given = new Map<TensorSpec, TensorValue>();
  const take = (spec: TensorSpec, value: unknown, at: string): void => {
    if (given.has(spec)) throw bad(`${at}: expected the input "${spec.name}" once`);
    given.set(spec, tensorOf(spec, value, model.maxBatchSize > 0));
  };
  let alias: TensorSpec | undefined;
  for (const [name, value] of Object.entries(json)) {
    if (value === null || RESERVED.includes(name)) continue;
    const spec = inputOf(model, name);
    if (spec !== undefined) {
      take(spec, value, name);
      continue;
    }
    alias = name === TEXT_INPUT ? onlyText(model.inputs) : undefined;
    if (alias === undefined) throw unknownMember(name, model);
    take(alias, value, name);
  }
  const parameters = ownParameters(json['parameters'], model, take);
  const { timeoutUs, priority, accept, receipt } = requestParameters(parameters);
  const textOutput = alias === undefined ? undefined : onlyText(model.outputs)?.name;
  return { clientId, inputs: [...given.values()], textOutput, timeoutUs, priority, accept, receipt };
}

const inputOf = (model: ModelRecord, name: string): TensorSpec | undefined =>
  model.inputs.find((spec) => spec.name === name);

/** The BYTES tensor of a list that has exactly one. */
function onlyText(specs: readonly TensorSpec[]): TensorSpec | undefined {
  const [text, other] = specs.filter(({ datatype }) => datatype === 'BYTES');
  return other === undefined ? text : undefined;
}

const unknownMember = (name: string, model: ModelRecord): SpillwayError =>
  bad(`${name.slice(0, MAX_SHOWN)}: the model has no input of this name; it takes ${describeInputs(model)}`);

/** Hands the inputs among the parameters to `take` and returns the others. */
function ownParameters(
  value: unknown,
  model: ModelRecord,
  take: (spec: TensorSpec, value: unknown, at: string) => void,
): unknown {
  if (!isObject(value)) return value;
  const own = Object.entries(value).filter(([name, member]) => {
    const spec = EVERYWHERE.test(name) ? undefined : inputOf(model, name);
    if (spec !== undefined && member !== null) take(spec, member, `parameters.${name}`);
    return spec === undefined;
  });
  return Object.fromEntries(own);
}

/** One row. A value without brackets is the only element. */
function tensorOf({ name, datatype, dims }: TensorSpec, value: unknown, batches: boolean): TensorValue {
  const plain = !Array.isArray(value);
  const shape = plain ? dims.map((dim) => (dim === -1 ? 1 : dim)) : shapeOf(name, value, dims);
  const row = plain ? [value] : value;
  if (!batches) return tensorFromJson(name, datatype, shape, row);
  return tensorFromJson(name, datatype, [1, ...shape], plain ? row : [row]);
}

/** Of an array that is nested like its dims, or flat where no dim varies. */
function shapeOf(name: string, value: unknown[], dims: number[]): number[] {
  const depth = depthOf(value);
  if (depth === dims.length) return rowShape(value, dims);
  if (depth === 1 && !dims.includes(-1)) return dims;
  throw bad(`${name}: expected one row, an array of shape [${dims.join(',')}], got ${depth} levels of arrays`);
}

/**
 * The answer as JSON: outputs by name, one element plain, several as a flat array.
 * @param receipt What becomes `parameters`; undefined: only that the answer is degraded, if it is.
 * @throws SpillwayError `UNSUPPORTED` for what JSON cannot say.
 */
export function writeGenerateAnswer(
  answer: Answer,
  { clientId, textOutput }: GenerateCall,
  receipt: Record<string, string> | undefined,
): string {
  const { version, degraded } = answer.receipt;
  let json = clientId === '' ? '{' : `{"id":${JSON.stringify(clientId)},`;
  json += `"model_name":"${answer.model}","model_version":"${version}"`;
  const said = saidInBody(receipt, degraded);
  if (said !== undefined) json += `,"parameters":${JSON.stringify(said)}`;
  for (const output of answer.outputs) {
    const name = output.name === textOutput ? 'text_output' : output.name;
    const data = tensorDataToJson(output);
    json += `,${JSON.stringify(name)}:${elementCount(output.shape) === 1 ? data : `[${data}]`}`;
  }
  return `${json}}`;
}
