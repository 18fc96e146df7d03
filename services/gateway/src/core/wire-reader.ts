import { SpillwayError } from '@spillway/errors/spillway-error';

/** Wire types of protobuf. 3 and 4 are groups, which proto3 has not. */
export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH = 2;
export const FIXED32 = 5;

const MAX_VARINT_BYTES = 10;
const TWO_32 = 2 ** 32;

export const broken = (): SpillwayError =>
  new SpillwayError('INVALID_REQUEST', 'expected a protobuf message of its type');

/**
 * Reads one protobuf message field by field, without building an object for what nobody asked: a few bytes on the wire may
 * stand for millions of elements. Every method throws SpillwayError `INVALID_REQUEST` where the bytes are no message.
 */
export class WireReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;
  /** Of the field that `next` found. */
  field = 0;
  wireType = 0;

  /** @param from, to The part of `bytes` that is the message. */
  constructor(bytes: Buffer, from = 0, to = bytes.length) {
    this.#bytes = bytes;
    this.#at = from;
    this.#end = to;
  }

  /** Steps to the next field; false at the end. The field must be read or skipped before the next step. */
  next(): boolean {
    if (this.#at >= this.#end) return false;
    const tag = this.uint32();
    this.field = tag >>> 3;
    this.wireType = tag & 7;
    if (this.field === 0) throw broken();
    return true;
  }

  /** The low 32 bits of a varint, as protobuf reads uint32, int32 (`| 0`), lengths and tags. */
  uint32(): number {
    let value = 0;
    for (let i = 0; i < MAX_VARINT_BYTES; i += 1) {
      if (this.#at >= this.#end) throw broken();
      const byte = this.#bytes[this.#at] as number;
      this.#at += 1;
      if (i < 5) value |= (byte & 0x7f) << (7 * i);
      if (byte < 0x80) return value >>> 0;
    }
    throw broken();
  }

  /** A varint of 64 bits as its two halves, low first: nothing is rounded. */
  halves(into: Uint32Array, index: number): void {
    let low = 0;
    let high = 0;
    for (let i = 0; i < MAX_VARINT_BYTES; i += 1) {
      if (this.#at >= this.#end) throw broken();
      const byte = this.#bytes[this.#at] as number;
      this.#at += 1;
      const bits = byte & 0x7f;
      if (i < 4) low |= bits << (7 * i);
      else if (i === 4) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (7 * i - 32);
      if (byte < 0x80) {
        into[index] = low;
        into[index + 1] = high;
        return;
      }
    }
    throw broken();
  }

  /** A signed 64-bit varint as a number; beyond 2⁵³ it is the nearest one, so hold it against a bound before use. */
  int64(): number {
    this.halves(HALVES, 0);
    return ((HALVES[1] as number) | 0) * TWO_32 + (HALVES[0] as number);
  }

  uint64(): number {
    this.halves(HALVES, 0);
    return (HALVES[1] as number) * TWO_32 + (HALVES[0] as number);
  }

  double(): number {
    this.#step(8);
    return this.#bytes.readDoubleLE(this.#at - 8);
  }

  get atEnd(): boolean {
    return this.#at >= this.#end;
  }

  /** Where the next unread byte is. */
  get position(): number {
    return this.#at;
  }

  /** Steps over a length-delimited field. @returns Where its content starts; it ends at `position`. */
  span(): number {
    const length = this.uint32();
    const start = this.#at;
    if (length > this.#end - start) throw broken();
    this.#at = start + length;
    return start;
  }

  /** Reads an embedded message in its place. */
  message(): WireReader {
    const start = this.span();
    return new WireReader(this.#bytes, start, this.#at);
  }

  /** A view of a length-delimited field. */
  bytes(): Buffer {
    const start = this.span();
    return this.#bytes.subarray(start, this.#at);
  }

  string(): string {
    const start = this.span();
    return this.#bytes.toString('utf8', start, this.#at);
  }

  skip(): void {
    if (this.wireType === VARINT) this.halves(HALVES, 0);
    else if (this.wireType === LENGTH) this.span();
    else if (this.wireType === FIXED32) this.#step(4);
    else if (this.wireType === FIXED64) this.#step(8);
    else throw broken();
  }

  #step(bytes: number): void {
    if (bytes > this.#end - this.#at) throw broken();
    this.#at += bytes;
  }
}

const HALVES = new Uint32Array(2);
