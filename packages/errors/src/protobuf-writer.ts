/** The few lines of the protobuf wire format that google.rpc.Status needs, so that this package depends on nothing. */
const VARINT = 0;
const BYTES = 2;

const utf8 = new TextEncoder();

/** @param value A non-negative integer up to 2^53. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

/** Joins encoded fields into one message. */
export const message = (...fields: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(fields));

/** int32, int64, uint32 or uint64 field; proto3 leaves zero out. */
export const intField = (number: number, value: number): Uint8Array =>
  value === 0 ? new Uint8Array() : message(varint(number * 8 + VARINT), varint(value));

/** Field of bytes or of an encoded message; written even when empty, because an empty message is not an absent one. */
export const bytesField = (number: number, value: Uint8Array): Uint8Array =>
  message(varint(number * 8 + BYTES), varint(value.length), value);

/** String field; proto3 leaves the empty string out. */
export const stringField = (number: number, value: string): Uint8Array =>
  value === '' ? new Uint8Array() : bytesField(number, utf8.encode(value));
