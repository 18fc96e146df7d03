import {
  DATA_TYPES,
  type DataTypeName,
  elementCount,
  isDataType,
  type NumericType,
  numericView,
  packBytes,
} from '@spillway/contracts/tensor';
import { tensorText } from '@spillway/contracts/tensor-text';
import { bad } from './invalid-request.ts';
import type { TensorValue } from './request.ts';

/** JSON ⇄ tensors of the Open Inference Protocol v2. A value that does not fit its type is refused, never rounded or wrapped. */

const RANGES: Partial<Record<DataTypeName, [number, number]>> = {
  UINT8: [0, 0xff],
  UINT16: [0, 0xffff],
  UINT32: [0, 0xffff_ffff],
  INT8: [-0x80, 0x7f],
  INT16: [-0x8000, 0x7fff],
  INT32: [-0x8000_0000, 0x7fff_ffff],
};
const RANGES_64: Partial<Record<DataTypeName, [bigint, bigint]>> = {
  UINT64: [0n, 2n ** 64n - 1n],
  INT64: [-(2n ** 63n), 2n ** 63n - 1n],
};

const MAX_RANK = 32;

/** Flattens data nested like its shape, row-major; the innermost arrays may be flat already. Flat data is returned as it is. */
function flatten(data: unknown[], shape: readonly number[], at: string): unknown[] {
  if (!Array.isArray(data[0])) return data;
  const expectLength = (length: number, dims: readonly number[]): void => {
    const wanted = elementCount(dims);
    if (length === wanted) return;
    throw bad(
      `${at}: data: expected it flat or nested like its shape [${shape.join(',')}], got ${length} for ${wanted}`,
    );
  };
  expectLength(data.length, shape.slice(0, 1));
  let level: unknown[] = data;
  for (let depth = 1; Array.isArray(level[0]); depth += 1) {
    if (depth >= shape.length)
      throw bad(`${at}: data: expected at most ${shape.length} levels of nesting, as its shape has`);
    const next: unknown[] = [];
    for (const part of level) {
      if (!Array.isArray(part)) throw bad(`${at}: data: expected the same nesting everywhere`);
      expectLength(part.length, Array.isArray(part[0]) ? shape.slice(depth, depth + 1) : shape.slice(depth));
      for (const element of part) next.push(element);
    }
    level = next;
  }
  return level;
}

/** 64-bit integers are read as BigInt, also in a shape, and JSON knows none. */
const bigAsNumber = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);

const show = (value: unknown): string => {
  const text = typeof value === 'bigint' ? String(value) : (JSON.stringify(value, bigAsNumber) ?? 'undefined');
  return text.length > 32 ? `${text.slice(0, 32)}…` : text;
};

function fp32(values: unknown[], at: string): Uint8Array {
  const array = new Float32Array(values.length);
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i];
    array[i] = value as number;
    // One comparison for the usual case: a finite number stays itself minus itself = 0.
    if (typeof value !== 'number' || (array[i] as number) - (array[i] as number) !== 0) {
      throw bad(`${at}: data[${i}]: expected a number that fits FP32, got ${show(value)}`);
    }
  }
  return new Uint8Array(array.buffer);
}

function integer64(values: unknown[], datatype: 'INT64' | 'UINT64', at: string): Uint8Array {
  const [low, high] = RANGES_64[datatype] as [bigint, bigint];
  const array = new BigInt64Array(values.length);
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i];
    const exact = typeof value === 'bigint' || Number.isSafeInteger(value) ? BigInt(value as number) : undefined;
    if (exact === undefined || exact < low || exact > high) {
      throw bad(`${at}: data[${i}]: expected an integer that fits ${datatype}, got ${show(value)}`);
    }
    array[i] = BigInt.asIntN(64, exact);
  }
  return new Uint8Array(array.buffer);
}

function integers(values: unknown[], datatype: NumericType, at: string): Uint8Array {
  const [low, high] = RANGES[datatype] as [number, number];
  const array = numericView(datatype, new Uint8Array(values.length * DATA_TYPES[datatype].bytes));
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i];
    if (!Number.isInteger(value) || (value as number) < low || (value as number) > high) {
      throw bad(`${at}: data[${i}]: expected an integer that fits ${datatype}, got ${show(value)}`);
    }
    array[i] = value as number;
  }
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function elements(values: unknown[], datatype: DataTypeName, at: string): Uint8Array {
  switch (datatype) {
    case 'FP32':
      return fp32(values, at);
    case 'FP64': {
      const wrong = values.findIndex((value) => typeof value !== 'number' || !Number.isFinite(value));
      if (wrong !== -1) throw bad(`${at}: data[${wrong}]: expected a finite number, got ${show(values[wrong])}`);
      return new Uint8Array(Float64Array.from(values as number[]).buffer);
    }
    case 'BOOL': {
      const wrong = values.findIndex((value) => typeof value !== 'boolean');
      if (wrong !== -1) throw bad(`${at}: data[${wrong}]: expected true or false, got ${show(values[wrong])}`);
      return Uint8Array.from(values as boolean[], (value) => (value ? 1 : 0));
    }
    case 'BYTES': {
      const wrong = values.findIndex((value) => typeof value !== 'string');
      if (wrong !== -1) throw bad(`${at}: data[${wrong}]: expected a string, got ${show(values[wrong])}`);
      const broken = (values as string[]).findIndex((value) => !value.isWellFormed());
      if (broken !== -1)
        throw bad(`${at}: data[${broken}]: expected text that UTF-8 can hold, got half a surrogate pair`);
      return packBytes((values as string[]).map((value) => Buffer.from(value, 'utf8')));
    }
    case 'INT64':
    case 'UINT64':
      return integer64(values, datatype, at);
    case 'FP16':
    case 'BF16':
      throw bad(`${at}: data: ${datatype} has no JSON form; send it as a binary tensor`);
    default:
      return integers(values, datatype, at);
  }
}

/** JSON data (flat or nested like `shape`) → tensor. */
export function tensorFromJson(name: string, datatype: DataTypeName, shape: number[], data: unknown): TensorValue {
  const at = `input "${name}"`;
  if (!Array.isArray(data)) throw bad(`${at}: data: expected an array, got ${show(data)}`);
  const flat = flatten(data, shape, at);
  const count = elementCount(shape);
  if (flat.length !== count) {
    throw bad(`${at}: data: expected ${count} elements for shape [${shape.join(',')}], got ${flat.length}`);
  }
  return { name, datatype, shape, data: elements(flat, datatype, at) };
}

/** @throws SpillwayError `INVALID_REQUEST` unless `value` is a shape. */
export function shapeFromJson(value: unknown, at: string): number[] {
  if (!Array.isArray(value) || value.length > MAX_RANK) throw bad(`${at}: shape: expected an array of integers ≥ 0`);
  for (const dim of value) {
    if (!Number.isSafeInteger(dim) || dim < 0) throw bad(`${at}: shape: expected integers ≥ 0, got ${show(value)}`);
  }
  return value as number[];
}

export function datatypeFromJson(value: unknown, at: string): DataTypeName {
  if (typeof value === 'string' && isDataType(value)) return value;
  throw bad(`${at}: datatype: expected one of ${Object.keys(DATA_TYPES).join(', ')}, got ${show(value)}`);
}

/** Elements of a tensor as JSON text without brackets. @throws SpillwayError `UNSUPPORTED` for what JSON cannot say. */
export const tensorDataToJson = (tensor: TensorValue): string => tensorText(tensor, '; ask for it as a binary tensor');
