import { badInput } from './errors.ts';
import type { ModelMetadata, TensorMetadata } from './metadata.ts';
import {
  bytesOf,
  checkValues,
  type Datatype,
  datatypeOf,
  elementCount,
  encodeValues,
  holds,
  isDatatype,
  isTypedArray,
  type Scalar,
  type TypedArray,
} from './tensors.ts';

/** A single value, values nested like the shape, or flat values in row-major order. */
export type Values = Scalar | TypedArray | readonly Values[];

/** Values with what could not, or should not, be inferred. */
export type GivenTensor = { data: Values; shape?: readonly number[]; datatype?: Datatype };

/** The inputs of a request, by name. */
export type Inputs = Readonly<Record<string, Values | GivenTensor>>;

/** An input as it is sent: flat, checked, with its shape. */
export type InputTensor = {
  name: string;
  datatype: Datatype;
  shape: readonly number[];
  data: TypedArray | readonly Scalar[];
};

/** True if every input says all about itself, so that the model's metadata is not needed. */
export const areComplete = (inputs: Inputs): boolean =>
  Object.values(inputs).every((input) => {
    const { data, shape, datatype } = given(input);
    return shape !== undefined && (datatype !== undefined || isTypedArray(data));
  });

/**
 * Inputs as people write them → tensors. Datatype and shape come from the input itself, else from the model: flat values fill
 * the one variable dimension of the model's shape, and leading dimensions that are missing are 1.
 * @param model Undefined: it is not known, so only what the inputs say counts.
 * @throws SpillwayClientError `INVALID_REQUEST` naming the input.
 */
export function toTensors(inputs: Inputs, model: ModelMetadata | undefined): InputTensor[] {
  return Object.entries(inputs).map(([name, input]) => {
    const spec = model?.inputs.find((candidate) => candidate.name === name);
    if (model !== undefined && spec === undefined) {
      const known = model.inputs.map((candidate) => candidate.name).join(', ');
      throw badInput(`model "${model.name}" has no input "${name}"; it has ${known}`);
    }
    return toTensor(name, given(input), spec);
  });
}

const given = (input: Values | GivenTensor): GivenTensor =>
  typeof input === 'object' && !Array.isArray(input) && !isTypedArray(input)
    ? (input as GivenTensor)
    : { data: input as Values };

function toTensor(name: string, input: GivenTensor, spec: TensorMetadata | undefined): InputTensor {
  const datatype = input.datatype ?? spec?.datatype ?? guess(name, input.data);
  if (!isDatatype(datatype)) throw badInput(`input "${name}": "${String(datatype)}" is no datatype`);
  // A Uint8Array is one element of BYTES, and the data of anything else.
  const isElement = datatype === 'BYTES' && input.data instanceof Uint8Array;
  const isData = isTypedArray(input.data) && !isElement;
  if (isData && !holds(input.data as TypedArray, datatype)) {
    throw badInput(`input "${name}": expected values for ${datatype}, got ${input.data.constructor.name}`);
  }
  const data = isData ? (input.data as TypedArray) : flatten(input.data, datatype);
  const nesting = isData ? [data.length] : shapeOf(name, input.data, datatype);
  const shape = input.shape ?? (spec === undefined ? nesting : inferShape(name, nesting, spec.shape));
  if (elementCount(shape) !== data.length) {
    throw badInput(
      `input "${name}": expected ${elementCount(shape)} elements for shape [${shape}], got ${data.length}`,
    );
  }
  if (!isData) checkValues(name, datatype, data as readonly Scalar[]);
  return { name, datatype, shape, data };
}

/** Only what has one meaning; a number may be of ten types. */
function guess(name: string, data: Values): Datatype {
  if (isTypedArray(data)) return datatypeOf(data);
  const [first] = flatten(data, 'BYTES');
  if (typeof first === 'string' || first instanceof Uint8Array) return 'BYTES';
  if (typeof first === 'boolean') return 'BOOL';
  throw badInput(`input "${name}": expected a datatype beside its data, since the model's metadata is not known here`);
}

const isList = (values: Values): values is readonly Values[] => Array.isArray(values);

/** A row may be a typed array; a Uint8Array among BYTES is an element. */
const isRow = (values: Values, datatype: Datatype): values is TypedArray =>
  isTypedArray(values) && !(datatype === 'BYTES' && values instanceof Uint8Array);

function flatten(values: Values, datatype: Datatype): Scalar[] {
  if (isRow(values, datatype)) return Array.from(values as ArrayLike<number>);
  return isList(values) ? values.flatMap((value) => flatten(value, datatype)) : [values as Scalar];
}

function shapeOf(name: string, values: Values, datatype: Datatype): number[] {
  if (isRow(values, datatype)) return [values.length];
  if (!isList(values)) return [];
  const [first, ...rest] = values.map((value) => shapeOf(name, value, datatype));
  if (rest.some((shape) => shape.join() !== first?.join()))
    throw badInput(`input "${name}": rows of different lengths`);
  return [values.length, ...(first ?? [])];
}

/** @param declared -1 for a variable dimension. */
function inferShape(name: string, nesting: readonly number[], declared: readonly number[]): readonly number[] {
  const variable = declared.filter((dim) => dim < 0).length;
  const fixed = elementCount(declared.filter((dim) => dim >= 0));
  const count = elementCount(nesting);
  const isFlat = nesting.length < 2 && declared.length !== nesting.length;
  let shape = nesting;
  if (isFlat && variable === 1 && fixed > 0 && count % fixed === 0) {
    shape = declared.map((dim) => (dim < 0 ? count / fixed : dim));
  } else if (isFlat && variable === 0 && count === fixed) shape = declared;
  else if (nesting.length < declared.length) shape = [...Array(declared.length - nesting.length).fill(1), ...nesting];
  const fits = shape.length === declared.length && declared.every((dim, i) => dim < 0 || dim === shape[i]);
  if (!fits) throw badInput(`input "${name}": expected shape [${declared.join(', ')}], got [${nesting.join(', ')}]`);
  return shape;
}

/** The tensor's bytes, as gRPC's raw contents and HTTP's binary tensors carry them. */
export const encodeInput = ({ datatype, data }: InputTensor): Uint8Array =>
  isTypedArray(data) ? bytesOf(data) : encodeValues(datatype, data);
