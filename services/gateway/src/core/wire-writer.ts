import { LENGTH, VARINT } from './wire-reader.ts';

const FIRST_SIZE = 512;

const varintLength = (value: number): number => {
  let length = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length += 1;
  return length;
};

/** Writes one protobuf message, growing as needed. Fields with their default value are the caller's to leave out. */
export class WireWriter {
  #buffer = Buffer.allocUnsafe(FIRST_SIZE);
  #at = 0;

  /** The message; a view, valid until the writer is used again. */
  done(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  /** @param value A whole number from 0 to 2⁵³. */
  uint(field: number, value: number): void {
    this.#room(20);
    this.#varint(field * 8 + VARINT);
    this.#varint(value);
  }

  string(field: number, text: string): void {
    const length = Buffer.byteLength(text);
    this.#room(length + 20);
    this.#varint(field * 8 + LENGTH);
    this.#varint(length);
    if (length === text.length && length < 32) {
      // Short ASCII, as nearly all of ours is: a loop costs less than the call into the engine.
      for (let i = 0; i < length; i += 1) this.#buffer[this.#at + i] = text.charCodeAt(i);
    } else this.#buffer.write(text, this.#at);
    this.#at += length;
  }

  bytes(field: number, data: Uint8Array): void {
    this.#room(data.byteLength + 20);
    this.#varint(field * 8 + LENGTH);
    this.#varint(data.byteLength);
    this.#buffer.set(data, this.#at);
    this.#at += data.byteLength;
  }

  /** Repeated whole numbers from 0 to 2⁵³, packed. */
  packed(field: number, values: readonly number[]): void {
    let length = 0;
    for (const value of values) length += varintLength(value);
    this.#room(length + 20);
    this.#varint(field * 8 + LENGTH);
    this.#varint(length);
    for (const value of values) this.#varint(value);
  }

  /** Begins an embedded message; hand the result to `end` when its fields are written. */
  begin(field: number): number {
    this.#room(20);
    this.#varint(field * 8 + LENGTH);
    this.#at += 1; // most are shorter than 128 bytes
    return this.#at;
  }

  end(start: number): void {
    const length = this.#at - start;
    const more = varintLength(length) - 1;
    if (more > 0) {
      this.#room(more);
      this.#buffer.copyWithin(start + more, start, this.#at);
    }
    const end = this.#at + more;
    this.#at = start - 1;
    this.#varint(length);
    this.#at = end;
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#at] = (rest % 0x80) | 0x80;
      this.#at += 1;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#at] = rest;
    this.#at += 1;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#at + bytes, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#at));
    this.#buffer = grown;
  }
}
