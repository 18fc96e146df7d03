import type { ModelRecord, TensorSpec } from '@spillway/contracts/buckets';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { bad } from './invalid-request.ts';
import { parseFor } from './json-body.ts';
import { tensorFromJson } from './oip-json.ts';
import { isObject, type Json } from './oip-parameters.ts';
import type { TensorValue } from './request.ts';

/**
 * The plain form of a request, for callers who know a model by what it takes and not by its tensors: `{"inputs": …}`,
 * `{"text": …}` or `{"entities": …}`. Shapes and datatypes are the model's to say.
 */
export type PlainCall = {
  inputs: TensorValue[];
  /** One row, an array of rows, or arrays by name: the answer has the same form. */
  form: 'one' | 'rows' | 'columns';
  model: ModelRecord;
};

/** @throws SpillwayError `INVALID_REQUEST` naming the member, `MODEL_NOT_FOUND` without a model. */
export function readPlainBody(body: Buffer, model: ModelRecord | undefined): PlainCall {
  return readPlainCall(parseFor(model, body), model);
}

const MEMBERS = ['inputs', 'text', 'entities'] as const;

/** The same of a parsed object. */
export function readPlainCall(json: Json, model: ModelRecord | undefined): PlainCall {
  if (model === undefined) throw new SpillwayError('MODEL_NOT_FOUND', 'no such model is served here');
  const given = MEMBERS.filter((member) => json[member] !== undefined && json[member] !== null);
  const [member, second] = given;
  if (member === undefined || second !== undefined) {
    throw bad(`body: expected one of "inputs", "text" or "entities", got ${given.join(' and ') || 'none'}`);
  }
  const value = json[member];
  if (member === 'text') return oneInput(value, textInput(model), 'text', model);
  if (member === 'entities') return oneInput(asIds(value), entityInput(model), 'entities', model);
  if (isObject(value)) return byName(value, model);
  if (Array.isArray(value) && isObject(value[0])) return rowsByName(value, model);
  const [spec, other] = model.inputs;
  if (spec === undefined || other !== undefined) {
    throw bad(
      `inputs: model "${model.model}" takes ${describeInputs(model)}; expected an object with them, or an array of such`,
    );
  }
  return oneInput(value, spec, 'inputs', model);
}

const describe = ({ name, datatype, dims }: TensorSpec): string => `${name} (${datatype} [${dims.join(',')}])`;
/** The inputs of a model, for an error. */
export const describeInputs = (model: ModelRecord): string => model.inputs.map(describe).join(', ');

function textInput(model: ModelRecord): TensorSpec {
  const [spec, other] = model.inputs;
  if (spec?.datatype === 'BYTES' && other === undefined) return spec;
  throw bad(`text: model "${model.model}" does not take one text but ${describeInputs(model)}; send it as "inputs"`);
}

function entityInput(model: ModelRecord): TensorSpec {
  const spec = model.inputs.find(({ name }) => name === model.features?.entity);
  if (spec !== undefined && model.inputs.length === 1) return spec;
  throw bad(
    `entities: model "${model.model}" looks nothing up, it takes ${describeInputs(model)}; send it as "inputs"`,
  );
}

/** Ids may come as numbers, where they are whole. */
function asIds(value: unknown): unknown {
  const asId = (id: unknown): unknown => (Number.isSafeInteger(id) || typeof id === 'bigint' ? String(id) : id);
  return Array.isArray(value) ? value.map(asId) : asId(value);
}

function oneInput(value: unknown, spec: TensorSpec, at: string, model: ModelRecord): PlainCall {
  const { tensor, many } = tensorOf(value, spec, at, model);
  return { inputs: [tensor], form: many ? 'rows' : 'one', model };
}

/** `{"a": …, "b": …}`: one row of each, or as many rows of each. */
function byName(value: Json, model: ModelRecord): PlainCall {
  refuseUnknown(value, 'inputs', model);
  const read = model.inputs.map((spec) => tensorOf(value[spec.name], spec, `inputs.${spec.name}`, model));
  const many = read[0]?.many === true;
  const odd = read.findIndex((input) => input.many !== many);
  if (odd !== -1) {
    const [first, other] = [model.inputs[0], model.inputs[odd]];
    throw bad(`inputs: expected one row of each or an array of each; ${first?.name} and ${other?.name} differ`);
  }
  return { inputs: read.map(({ tensor }) => tensor), form: many ? 'columns' : 'one', model };
}

/** `[{"a": …, "b": …}, …]`: a row in each object. */
function rowsByName(rows: unknown[], model: ModelRecord): PlainCall {
  if (model.maxBatchSize === 0) throw doesNotBatch('inputs', model);
  if (rows.length > model.maxBatchSize) throw tooMany('inputs', rows.length, model);
  for (const [i, row] of rows.entries()) {
    if (!isObject(row)) throw bad(`inputs[${i}]: expected an object, as inputs[0] is`);
    refuseUnknown(row, `inputs[${i}]`, model);
  }
  const inputs = model.inputs.map((spec) => {
    const column = (rows as Json[]).map((row) => row[spec.name]);
    return tensorOf(column, spec, `inputs[].${spec.name}`, model).tensor;
  });
  return { inputs, form: 'rows', model };
}

function refuseUnknown(row: Json, at: string, model: ModelRecord): void {
  for (const { name } of model.inputs) {
    if (!Object.hasOwn(row, name)) throw bad(`${at}: expected "${name}": the model takes ${describeInputs(model)}`);
  }
  for (const name of Object.keys(row)) {
    if (!model.inputs.some((spec) => spec.name === name)) {
      throw bad(`${at}: the model has no input "${name}"; it takes ${describeInputs(model)}`);
    }
  }
}

const tooMany = (at: string, rows: number, { maxBatchSize }: ModelRecord): SpillwayError =>
  bad(`${at}: expected 1 to ${maxBatchSize} rows (max_batch_size), got ${rows}`);
const doesNotBatch = (at: string, { model }: ModelRecord): SpillwayError =>
  bad(`${at}: model "${model}" does not batch: expected one row`);

const MAX_DEPTH = 32;

/** Levels of arrays, along the first elements. */
export function depthOf(value: unknown): number {
  let depth = 0;
  for (let inner = value; Array.isArray(inner) && depth <= MAX_DEPTH; inner = inner[0]) depth += 1;
  return depth;
}

/** A row of one element is plain without brackets. */
export const isScalar = (dims: readonly number[]): boolean => dims.every((dim) => dim === 1);

/** Whether a value is many rows; undefined: it is neither one nor many. */
function isMany(depth: number, dims: readonly number[]): boolean | undefined {
  if (depth === dims.length + 1) return true;
  if (isScalar(dims) && depth <= 1) return depth === 1;
  return depth === dims.length ? false : undefined;
}

/** Sizes of a row, along its first elements. */
export function rowShape(row: unknown, dims: readonly number[]): number[] {
  if (isScalar(dims)) return [...dims];
  const shape: number[] = [];
  for (let inner = row; shape.length < dims.length; inner = (inner as unknown[])[0]) {
    shape.push(Array.isArray(inner) ? inner.length : 0);
    if (!Array.isArray(inner)) inner = [];
  }
  return shape;
}

function tensorOf(value: unknown, spec: TensorSpec, at: string, model: ModelRecord) {
  const { name, datatype, dims } = spec;
  const many = isMany(depthOf(value), dims);
  if (many === undefined || isObject(value)) {
    const row = isScalar(dims) ? `one ${datatype}` : `a ${datatype} array of shape [${dims.join(',')}]`;
    throw bad(`${at}: expected ${row}, or an array of such for several rows`);
  }
  const batches = model.maxBatchSize > 0;
  if (many && !batches) throw doesNotBatch(at, model);
  const rows = many ? (value as unknown[]) : [value];
  if (rows.length > Math.max(1, model.maxBatchSize)) throw tooMany(at, rows.length, model);
  const shape = rowShape(rows[0], dims);
  const data = batches || !Array.isArray(value) ? rows : value;
  return { tensor: tensorFromJson(name, datatype, batches ? [rows.length, ...shape] : shape, data), many };
}
