/** The little of protobuf that a load generator needs: messages are small, and its fields are few. */
const varint = (value: number): number[] =>
  value < 0x80 ? [value] : [(value % 0x80) | 0x80, ...varint(Math.floor(value / 0x80))];

export const bytesField = (field: number, value: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([...varint(field * 8 + 2), ...varint(value.length)]), value]);

export const textField = (field: number, value: string): Buffer => bytesField(field, Buffer.from(value));

/** A whole number ≥ 0. */
export const intField = (field: number, value: number): Buffer => Buffer.from([...varint(field * 8), ...varint(value)]);

/** Packed whole numbers; a negative one takes ten bytes and is not needed. */
export const packedField = (field: number, values: readonly number[]): Buffer =>
  bytesField(field, Buffer.from(values.flatMap(varint)));

/** Calls back for each length-delimited field of a message; a field of another type is skipped. */
export function eachField(message: Buffer, onField: (field: number, value: Buffer) => void): void {
  let at = 0;
  const number = (): number => {
    let value = 0;
    for (let scale = 1; at < message.length; scale *= 0x80) {
      const byte = message[at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < message.length) {
    const tag = number();
    const type = tag % 8;
    if (type === 2) {
      const size = number();
      onField(Math.floor(tag / 8), message.subarray(at, at + size));
      at += size;
    } else if (type === 0) number();
    else if (type === 5) at += 4;
    else if (type === 1) at += 8;
    else return; // groups are not used; what follows cannot be read
  }
}
