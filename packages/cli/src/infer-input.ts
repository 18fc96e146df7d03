import type { InferBody, JsonTensor, ModelMetadata, TensorSpec } from './door.ts';

/** What the user typed does not fit the model; the message says what was expected and what came. */
export class InputError extends Error {
  override readonly name = 'InputError';
}

/**
 * Makes a request from what people type: a whole OIP body, `{"<input>": values}`, or the values of the only input. Values are
 * nested lists or a single value; a missing batch dimension is added.
 * @throws InputError
 */
export function bodyFromData(data: unknown, model: ModelMetadata): InferBody {
  if (isRecord(data) && Array.isArray(data['inputs'])) return data as InferBody;
  const named = isRecord(data) ? data : { [onlyInput(model).name]: data };
  const unknown = Object.keys(named).find((name) => !model.inputs.some((input) => input.name === name));
  if (unknown !== undefined) {
    const known = model.inputs.map(({ name }) => name).join(', ');
    throw new InputError(`${model.name} has no input "${unknown}"; it has ${known}`);
  }
  return { inputs: Object.entries(named).map(([name, values]) => toTensor(specOf(model, name), values)) };
}

/** One row for each text, in the model's first input of type BYTES. @throws InputError */
export function bodyFromTexts(texts: string[], model: ModelMetadata): InferBody {
  const spec = model.inputs.find(({ datatype }) => datatype === 'BYTES');
  if (!spec) throw new InputError(`${model.name} has no input of type BYTES; use --data`);
  const shape = [texts.length, ...spec.shape.slice(1).map(() => 1)];
  return { inputs: [{ name: spec.name, datatype: 'BYTES', shape, data: texts }] };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function onlyInput(model: ModelMetadata): TensorSpec {
  const [first, second] = model.inputs;
  if (first && !second) return first;
  throw new InputError(`${model.name} has ${model.inputs.length} inputs: write {"<name>": values, …}`);
}

function specOf(model: ModelMetadata, name: string): TensorSpec {
  const spec = model.inputs.find((input) => input.name === name);
  if (!spec) throw new Error(`bug: ${name} was checked before`);
  return spec;
}

function toTensor({ name, datatype, shape: declared }: TensorSpec, values: unknown): JsonTensor {
  let shape = shapeOf(values, name);
  while (shape.length < declared.length) shape = [1, ...shape];
  const fits = shape.length === declared.length && declared.every((size, i) => size < 0 || size === shape[i]);
  if (!fits) throw new InputError(`${name}: expected shape [${declared.join(', ')}], got [${shape.join(', ')}]`);
  return { name, datatype, shape, data: flatten(values) };
}

/** @throws InputError when rows differ in length. */
function shapeOf(values: unknown, name: string): number[] {
  if (!Array.isArray(values)) return [];
  const shapes = values.map((value) => shapeOf(value, name));
  const [first = []] = shapes;
  if (shapes.some((shape) => shape.join() !== first.join())) {
    throw new InputError(`${name}: rows of different lengths`);
  }
  return [values.length, ...first];
}

const flatten = (values: unknown): unknown[] =>
  Array.isArray(values) ? values.flat(Number.POSITIVE_INFINITY) : [values];
