import { isUtf8 } from 'node:buffer';
import type { ModelRecord } from '@spillway/contracts/buckets';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { isObject, type Json } from './oip-parameters.ts';

const bad = (message: string, cause?: unknown): SpillwayError =>
  new SpillwayError('INVALID_REQUEST', message, cause === undefined ? {} : { cause });

/** The text of a body. @throws SpillwayError `INVALID_REQUEST` for bytes that are no UTF-8. */
export function textOf(bytes: Buffer, end = bytes.byteLength): string {
  const text = bytes.toString('utf8', 0, end);
  // Decoding puts this character where the bytes are no UTF-8: what was sent would be changed without a word.
  if (text.includes('\ufffd') && !isUtf8(bytes.subarray(0, end))) throw bad('body: expected JSON in UTF-8');
  return text;
}

/** @throws SpillwayError `INVALID_REQUEST` unless it is a JSON object. */
export function parseObject(text: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw bad('body: expected JSON', cause);
  }
  if (isObject(value)) return value;
  throw bad('body: expected a JSON object');
}

/** The same with 64-bit integers beyond 2⁵³ as BigInt, taken from the text: `JSON.parse` alone would round them. */
export function parseObjectExactly(text: string): Json {
  parseObject(text);
  const keepExact = (_key: string, value: unknown, context?: { source?: string }): unknown => {
    const source = context?.source;
    const isBig =
      typeof value === 'number' && !Number.isSafeInteger(value) && source !== undefined && /^-?\d+$/.test(source);
    return isBig ? BigInt(source) : value;
  };
  return JSON.parse(text, keepExact as (key: string, value: unknown) => unknown) as Json;
}

/** The body of a request whose datatypes only the model knows: integers keep every digit where it takes 64 bits. */
export function parseFor(model: ModelRecord | undefined, body: Buffer): Json {
  const exactly = model?.inputs.some(({ datatype }) => datatype === 'INT64' || datatype === 'UINT64') === true;
  const text = textOf(body);
  return exactly ? parseObjectExactly(text) : parseObject(text);
}
