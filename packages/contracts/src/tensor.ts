import { SpillwayError } from '@spillway/errors/spillway-error';

type DataTypeRow = { id: number; bytes: number };

/**
 * The datatypes of the Open Inference Protocol (and Triton's FP16, BF16): number on the mesh's wire (Triton's DataType) and
 * bytes of an element; BYTES elements have a length of their own.
 */
export const DATA_TYPES = {
  BOOL: { id: 1, bytes: 1 },
  UINT8: { id: 2, bytes: 1 },
  UINT16: { id: 3, bytes: 2 },
  UINT32: { id: 4, bytes: 4 },
  UINT64: { id: 5, bytes: 8 },
  INT8: { id: 6, bytes: 1 },
  INT16: { id: 7, bytes: 2 },
  INT32: { id: 8, bytes: 4 },
  INT64: { id: 9, bytes: 8 },
  FP16: { id: 10, bytes: 2 },
  FP32: { id: 11, bytes: 4 },
  FP64: { id: 12, bytes: 8 },
  BYTES: { id: 13, bytes: 0 },
  BF16: { id: 14, bytes: 2 },
} as const satisfies Record<string, DataTypeRow>;

export type DataTypeName = keyof typeof DATA_TYPES;

const NAMES: (DataTypeName | undefined)[] = [];
for (const name of Object.keys(DATA_TYPES) as DataTypeName[]) NAMES[DATA_TYPES[name].id] = name;

export const isDataType = (text: string): text is DataTypeName => Object.hasOwn(DATA_TYPES, text);

/** @throws SpillwayError `INVALID_REQUEST` for a number that is no datatype. */
export function dataTypeName(id: number): DataTypeName {
  const name = NAMES[id];
  if (name === undefined)
    throw new SpillwayError('INVALID_REQUEST', `expected a datatype number from 1 to 14, got ${id}`);
  return name;
}

/** Number of elements of a shape; 1 for []. */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const dim of shape) count *= dim;
  return count;
}

export type NumericArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigUint64Array
  | BigInt64Array
  | Float32Array
  | Float64Array;

const ARRAYS = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array, // raw bits
  FP32: Float32Array,
  FP64: Float64Array,
  BF16: Uint16Array, // raw bits
} as const;

export type NumericType = keyof typeof ARRAYS;

/**
 * Elements of a numeric tensor. A view of `data` where its offset is aligned to the element; one copy where it is not
 * (bytes decoded from a message lie at any offset). Little-endian hosts only, as every platform of onnxruntime-node is.
 */
export function numericView(datatype: NumericType, data: Uint8Array): NumericArray {
  const size = DATA_TYPES[datatype].bytes;
  // Not `slice()`: on a Buffer that is another view.
  const aligned = data.byteOffset % size === 0 ? data : new Uint8Array(data);
  return new ARRAYS[datatype](aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.byteLength / size);
}

/** The bytes of a typed array, without a copy. */
export const bytesOf = (array: NumericArray): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** BYTES elements → data: each a little-endian uint32 length and its bytes. */
export function packBytes(elements: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const element of elements) size += 4 + element.byteLength;
  const data = Buffer.allocUnsafe(size);
  let at = 0;
  for (const element of elements) {
    data.writeUInt32LE(element.byteLength, at);
    data.set(element, at + 4);
    at += 4 + element.byteLength;
  }
  return data;
}

/**
 * BYTES data → its elements, as views.
 * @throws SpillwayError `INVALID_REQUEST` unless data holds exactly `count` elements.
 */
export function unpackBytes(data: Uint8Array, count: number, tensor: string): Uint8Array[] {
  const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const elements: Uint8Array[] = [];
  let at = 0;
  while (at < buffer.length) {
    const start = at + 4;
    const end = start <= buffer.length ? start + buffer.readUInt32LE(at) : Number.POSITIVE_INFINITY;
    if (end > buffer.length) {
      throw new SpillwayError(
        'INVALID_REQUEST',
        `tensor "${tensor}": a BYTES element reaches past the end of its data`,
      );
    }
    elements.push(buffer.subarray(start, end));
    at = end;
  }
  if (elements.length !== count) {
    throw new SpillwayError(
      'INVALID_REQUEST',
      `tensor "${tensor}": expected ${count} BYTES elements by its shape, got ${elements.length}`,
    );
  }
  return elements;
}
