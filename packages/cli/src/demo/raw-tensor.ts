import { DATA_TYPES, isDataType, numericView, packBytes, unpackBytes } from '@spillway/contracts/tensor';

/** JSON values → little-endian bytes, as the gRPC door takes them. 16-bit floats have no form in JSON and are refused. */
export function toRaw(datatype: string, data: readonly unknown[]): Uint8Array {
  if (datatype === 'BYTES') return packBytes(data.map((text) => Buffer.from(String(text))));
  const type = numericType(datatype);
  const bytes = new Uint8Array(data.length * DATA_TYPES[type].bytes);
  const view = numericView(type, bytes);
  const wide = view instanceof BigInt64Array || view instanceof BigUint64Array;
  for (const [i, value] of data.entries()) view[i] = wide ? BigInt(value as number) : Number(value);
  return bytes;
}

/** The other way. */
export function fromRaw(datatype: string, raw: Uint8Array, count: number, name: string): unknown[] {
  if (datatype === 'BYTES') return unpackBytes(raw, count, name).map((bytes) => Buffer.from(bytes).toString('utf8'));
  const values = [...numericView(numericType(datatype), raw)].map((value) => Number(value));
  return datatype === 'BOOL' ? values.map((value) => value !== 0) : values;
}

function numericType(datatype: string) {
  if (isDataType(datatype) && datatype !== 'BYTES' && datatype !== 'FP16' && datatype !== 'BF16') return datatype;
  throw new Error(`${datatype} has no JSON form here`);
}
