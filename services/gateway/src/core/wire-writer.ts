import { LENGTH, VARINT } from './wire-reader.ts';

const SIZE_BYTES = 4 * 1024;
/** A larger buffer is given back after its message. */
const KEPT_BYTES = 64 * 1024;
/** Room for a tag and a length. */
const HEAD_BYTES = 20;
const SHORT = 40;

const varintLength = (value: number): number => {
  let length = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length += 1;
  return length;
};

/**
 * Writes protobuf messages, one after the other, into one buffer that grows as needed. Fields with their default value are
 * the caller's to leave out.
 */
export class WireWriter {
  #buffer = Buffer.allocUnsafeSlow(SIZE_BYTES);
  #at = 0;

  /** Takes the message out, as a copy of its size; the writer begins the next one. */
  finish(): Buffer {
    const message = Buffer.allocUnsafe(this.#at);
    this.#buffer.copy(message, 0, 0, this.#at);
    this.reset();
    return message;
  }

  /** Forgets what was written. */
  reset(): void {
    this.#at = 0;
    if (this.#buffer.length > KEPT_BYTES) this.#buffer = Buffer.allocUnsafeSlow(SIZE_BYTES);
  }

  /** @param value A whole number from 0 to 2⁵³. */
  uint(field: number, value: number): void {
    this.#room(HEAD_BYTES);
    this.#varint(field * 8 + VARINT);
    this.#varint(value);
  }

  string(field: number, text: string): void {
    if (text.length < SHORT && this.#shortAscii(field, text)) return;
    const length = Buffer.byteLength(text);
    this.#room(length + HEAD_BYTES);
    this.#varint(field * 8 + LENGTH);
    this.#varint(length);
    this.#buffer.write(text, this.#at);
    this.#at += length;
  }

  /** As nearly all of ours is: a loop costs less than the calls into the engine. False: it is not ASCII; nothing is written. */
  #shortAscii(field: number, text: string): boolean {
    this.#room(text.length + HEAD_BYTES);
    const start = this.#at;
    this.#varint(field * 8 + LENGTH);
    this.#varint(text.length);
    let at = this.#at;
    for (let i = 0; i < text.length; i += 1) {
      const code = text.charCodeAt(i);
      if (code >= 0x80) {
        this.#at = start;
        return false;
      }
      this.#buffer[at] = code;
      at += 1;
    }
    this.#at = at;
    return true;
  }

  bytes(field: number, data: Uint8Array): void {
    this.#room(data.byteLength + HEAD_BYTES);
    this.#varint(field * 8 + LENGTH);
    this.#varint(data.byteLength);
    this.#buffer.set(data, this.#at);
    this.#at += data.byteLength;
  }

  /** Fields that were encoded before. */
  encoded(fields: Uint8Array): void {
    this.#room(fields.byteLength);
    this.#buffer.set(fields, this.#at);
    this.#at += fields.byteLength;
  }

  /** Repeated whole numbers from 0 to 2⁵³, packed. */
  packed(field: number, values: readonly number[]): void {
    let length = 0;
    for (const value of values) length += varintLength(value);
    this.#room(length + HEAD_BYTES);
    this.#varint(field * 8 + LENGTH);
    this.#varint(length);
    for (const value of values) this.#varint(value);
  }

  /** Begins an embedded message; hand the result to `end` when its fields are written. */
  begin(field: number): number {
    this.#room(HEAD_BYTES);
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
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#at + bytes, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#at));
    this.#buffer = grown;
  }
}
