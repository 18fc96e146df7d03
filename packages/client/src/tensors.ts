import { badInput, SpillwayClientError } from './errors.ts';

/** Bytes of an element of each datatype of the Open Inference Protocol (and Triton's FP16, BF16); 0: each has its own length. */
const ELEMENT_BYTES = {
  BOOL: 1,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  FP16: 2,
  BF16: 2,
  FP32: 4,
  FP64: 8,
  BYTES: 0,
} as const;

export type Datatype = keyof typeof ELEMENT_BYTES;

export const isDatatype = (text: unknown): text is Datatype =>
  typeof text === 'string' && Object.hasOwn(ELEMENT_BYTES, text);

export type TypedArray =
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

/** BYTES come as texts, or as bytes if those were asked for; BOOL as booleans; FP16 and BF16 as their raw bits. */
export type TensorData = string[] | Uint8Array[] | boolean[] | TypedArray;

/** One output. `data` is flat and row-major: its length is the product of `shape`. */
export type Tensor<D extends TensorData = TensorData> = { datatype: Datatype; shape: number[]; data: D };

export const isTypedArray = (value: unknown): value is TypedArray =>
  ArrayBuffer.isView(value) && !(value instanceof DataView);

/** Number of elements of a shape; 1 for []. */
export const elementCount = (shape: readonly number[]): number => shape.reduce((count, dim) => count * dim, 1);

const ARRAYS = {
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array,
  BF16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const;

/** The datatype whose elements a typed array holds. */
export function datatypeOf(array: TypedArray): Datatype {
  const found = (Object.keys(ARRAYS) as (keyof typeof ARRAYS)[]).find(
    (datatype) => datatype !== 'FP16' && datatype !== 'BF16' && array instanceof ARRAYS[datatype],
  );
  return found ?? 'UINT8';
}

/** True if the bytes of the array are those of a tensor of this datatype. */
export function holds(array: TypedArray, datatype: Datatype): boolean {
  if (datatype === 'BYTES') return false;
  return array instanceof (datatype === 'BOOL' ? Uint8Array : ARRAYS[datatype]);
}

const RANGES: Partial<Record<Datatype, readonly [number | bigint, number | bigint]>> = {
  UINT8: [0, 0xff],
  UINT16: [0, 0xffff],
  UINT32: [0, 0xffff_ffff],
  UINT64: [0n, 2n ** 64n - 1n],
  INT8: [-0x80, 0x7f],
  INT16: [-0x8000, 0x7fff],
  INT32: [-0x8000_0000, 0x7fff_ffff],
  INT64: [-(2n ** 63n), 2n ** 63n - 1n],
};

/** An element as a caller writes it. */
export type Scalar = number | bigint | boolean | string | Uint8Array;

const EXPECTED: Partial<Record<Datatype, string>> = {
  BOOL: 'true or false',
  BYTES: 'a string or a Uint8Array',
  FP32: 'a number',
  FP64: 'a number',
};

function fits(value: Scalar, datatype: Datatype): boolean {
  if (datatype === 'BOOL') return typeof value === 'boolean';
  if (datatype === 'BYTES') return typeof value === 'string' || value instanceof Uint8Array;
  if (datatype === 'FP32' || datatype === 'FP64') return typeof value === 'number';
  const range = RANGES[datatype];
  const isInteger = typeof value === 'bigint' || Number.isSafeInteger(value);
  return range !== undefined && isInteger && (value as number) >= range[0] && (value as number) <= range[1];
}

/** A value that does not fit its type is refused, never rounded or wrapped. @throws SpillwayClientError `INVALID_REQUEST`. */
export function checkValues(name: string, datatype: Datatype, values: readonly Scalar[]): void {
  if (datatype === 'FP16' || datatype === 'BF16') {
    throw badInput(`input "${name}": ${datatype} has no values in JavaScript: give its bits in a Uint16Array`);
  }
  const wrong = values.findIndex((value) => !fits(value, datatype));
  if (wrong < 0) return;
  const expected = EXPECTED[datatype] ?? `an integer that fits ${datatype}`;
  throw badInput(`input "${name}": data[${wrong}]: expected ${expected}, got ${show(values[wrong])}`);
}

function show(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 32 ? `${text.slice(0, 32)}…` : text;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** The bytes of a typed array, without a copy. */
export const bytesOf = (array: TypedArray): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** Checked values → the tensor's bytes: little-endian, row-major, unpadded. */
export function encodeValues(datatype: Datatype, values: readonly Scalar[]): Uint8Array {
  switch (datatype) {
    case 'BYTES':
      return packBytes(values as (string | Uint8Array)[]);
    case 'BOOL':
      return Uint8Array.from(values, (value) => (value === true ? 1 : 0));
    case 'INT64':
      return bytesOf(BigInt64Array.from(values, (value) => BigInt(value as number)));
    case 'UINT64':
      return bytesOf(BigUint64Array.from(values, (value) => BigInt(value as number)));
    default:
      return bytesOf(new (ARRAYS[datatype] as typeof Float64Array)(values.map(Number)));
  }
}

/** BYTES elements: each a little-endian uint32 length and its bytes. */
function packBytes(values: readonly (string | Uint8Array)[]): Uint8Array {
  const elements = values.map((value) => (typeof value === 'string' ? encoder.encode(value) : value));
  const data = new Uint8Array(elements.reduce((size, { byteLength }) => size + 4 + byteLength, 0));
  const view = new DataView(data.buffer);
  let at = 0;
  for (const element of elements) {
    view.setUint32(at, element.byteLength, true);
    data.set(element, at + 4);
    at += 4 + element.byteLength;
  }
  return data;
}

/** How BYTES are wanted: `text` decodes UTF-8, `binary` leaves them as they are. */
export type BytesAs = 'text' | 'binary';

const broken = (name: string, what: string): SpillwayClientError =>
  new SpillwayClientError('INTERNAL', `output "${name}": ${what}`);

/**
 * A tensor's bytes → its elements; those of numbers are a view where the offset is aligned, else a copy.
 * @throws SpillwayClientError `UNSUPPORTED` for BYTES that are no UTF-8 and were not asked for as binary.
 */
export function decodeTensor(
  name: string,
  datatype: Datatype,
  shape: number[],
  bytes: Uint8Array,
  as: BytesAs,
): Tensor {
  const count = elementCount(shape);
  const size = ELEMENT_BYTES[datatype];
  if (datatype === 'BYTES') return { datatype, shape, data: decodeBytes(name, bytes, count, as) };
  if (bytes.byteLength !== count * size) {
    throw broken(name, `expected ${count * size} bytes for its shape, got ${bytes.byteLength}`);
  }
  if (datatype === 'BOOL') return { datatype, shape, data: Array.from(bytes, (byte) => byte !== 0) };
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  const data = new ARRAYS[datatype](aligned.buffer as ArrayBuffer, aligned.byteOffset, count);
  return { datatype, shape, data };
}

function decodeBytes(name: string, bytes: Uint8Array, count: number, as: BytesAs): string[] | Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const elements: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.byteLength) {
    const start = at + 4;
    const end = start <= bytes.byteLength ? start + view.getUint32(at, true) : Number.POSITIVE_INFINITY;
    if (end > bytes.byteLength) throw broken(name, 'an element reaches past the end of its data');
    elements.push(bytes.subarray(start, end));
    at = end;
  }
  if (elements.length !== count) throw broken(name, `expected ${count} elements, got ${elements.length}`);
  return as === 'binary' ? elements : elements.map((element) => textOf(name, element));
}

function textOf(name: string, element: Uint8Array): string {
  try {
    return decoder.decode(element);
  } catch (cause) {
    throw new SpillwayClientError('UNSUPPORTED', `output "${name}" is not UTF-8: ask for it with bytes: 'binary'`, {
      cause,
    });
  }
}

/** Elements as JSON carries them → the same as from bytes. 64-bit integers may come as bigint. */
export function tensorFromValues(
  name: string,
  datatype: Datatype,
  shape: number[],
  values: Scalar[],
  as: BytesAs,
): Tensor {
  const count = elementCount(shape);
  if (values.length !== count) throw broken(name, `expected ${count} elements, got ${values.length}`);
  if (datatype === 'BOOL') return { datatype, shape, data: values as boolean[] };
  if (datatype === 'BYTES' && as === 'text') return { datatype, shape, data: values as string[] };
  return decodeTensor(name, datatype, shape, encodeValues(datatype, values), as);
}
