import { isUtf8 } from 'node:buffer';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { bad } from './invalid-request.ts';
import { readTimestamp } from './timestamp.ts';

/** A message that may be a CloudEvent. Header names are looked up without regard to case. */
export type HeaderedMessage = { payload: Uint8Array; header(name: string): string | undefined };

export type CloudEventMode = 'binary' | 'structured';

/** CloudEvents 1.0 as its binding for NATS carries it, as far as it matters here. */
export type CloudEvent = {
  mode: CloudEventMode;
  id: string;
  source: string;
  /** The event's data as it would be the payload of a plain event. */
  data: Uint8Array;
  correlationId: string;
  /** Undefined also for one that cannot be read: then a new trace begins. */
  traceparent: string | undefined;
  tracestate: string | undefined;
  /** Ms since the epoch. */
  expiresAtMs: number | undefined;
  trafficClass: string | undefined;
  version: string | undefined;
};

/** An attribute becomes part of the result, and of what is hashed into the name of a job. */
const MAX_ATTRIBUTE_CHARACTERS = 512;

const EVENT_TYPE = /^application\/cloudevents/i;

/** Whether a message of this content type is a CloudEvent in structured mode, in whatever format. */
export const isEventType = (contentType: string | undefined): boolean => EVENT_TYPE.test(contentType ?? '');

const JSON_EVENT_TYPE = /^application\/cloudevents(\+json)?\s*(;|$)/i;

/**
 * Undefined: the message is plain, as far as its headers say. A structured event says so in its content type, a binary one names
 * its version.
 */
export function modeByHeaders({ header }: Pick<HeaderedMessage, 'header'>): CloudEventMode | undefined {
  if (isEventType(header('content-type'))) return 'structured';
  return header('ce-specversion') === undefined ? undefined : 'binary';
}

/**
 * Whether a payload without such headers is an event all the same: the Go SDK names no content type in structured mode. An infer
 * request has `inputs` and no `specversion`.
 */
export function isBareEvent(payload: Uint8Array): boolean {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  if (!bytes.includes('"specversion"')) return false;
  try {
    const members = JSON.parse(bytes.toString()) as Partial<Record<string, unknown>> | null;
    return typeof members?.['specversion'] === 'string' && members['inputs'] === undefined;
  } catch {
    return false; // the request says what is wrong with it
  }
}

/**
 * Reads an event in either mode. Attributes and extensions that have no meaning here are not looked at.
 * @throws SpillwayError `INVALID_REQUEST` naming the attribute; `UNSUPPORTED` for formats other than JSON, and for batches.
 */
export function readCloudEvent(message: HeaderedMessage, mode: CloudEventMode): CloudEvent {
  if (mode === 'binary') {
    const attribute = (name: string) => {
      const value = message.header(`ce-${name}`);
      return value === undefined ? undefined : decodeAttribute(value, `ce-${name}`);
    };
    return cloudEvent(mode, attribute, message.payload);
  }
  const contentType = message.header('content-type') ?? '';
  if (isEventType(contentType) && !JSON_EVENT_TYPE.test(contentType)) {
    throw new SpillwayError(
      'UNSUPPORTED',
      'content-type: expected application/cloudevents+json, one event in a message',
    );
  }
  const members = parseEvent(message.payload);
  const attribute = (name: string) => {
    const value = members[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'string') return value;
    if (typeof value === 'boolean' || Number.isInteger(value)) return String(value);
    throw bad(`${name}: expected a string, true, false or an integer`);
  };
  return cloudEvent(mode, attribute, dataOf(members));
}

function cloudEvent(mode: CloudEventMode, read: (name: string) => string | undefined, data: Uint8Array): CloudEvent {
  const optional = (name: string): string | undefined => {
    const value = read(name);
    if (value === undefined) return undefined;
    if (value === '') throw bad(`${name}: expected a value, or no such attribute`);
    if (/\p{Cc}/u.test(value) || !value.isWellFormed()) throw bad(`${name}: expected text without control characters`);
    if (value.length > MAX_ATTRIBUTE_CHARACTERS) {
      throw bad(`${name}: expected at most ${MAX_ATTRIBUTE_CHARACTERS} characters, got ${value.length}`);
    }
    return value;
  };
  const required = (name: string): string => {
    const value = optional(name);
    if (value === undefined) throw bad(`${name}: expected a value, a CloudEvent needs this attribute`);
    return value;
  };
  const timestamp = (name: string): number | undefined => {
    const value = optional(name);
    const ms = value === undefined ? undefined : readTimestamp(value);
    if (value !== undefined && ms === undefined) throw bad(`${name}: expected a time such as 2026-01-31T12:00:00Z`);
    return ms;
  };
  const lenient = (name: string): string | undefined => {
    try {
      return read(name);
    } catch {
      return undefined;
    }
  };
  const version = required('specversion');
  if (version !== '1.0') throw bad(`specversion: expected 1.0, got ${version.slice(0, 16)}`);
  required('type'); // the subject routes: any type will do
  timestamp('time');
  return {
    mode,
    id: required('id'),
    source: required('source'),
    data,
    correlationId: optional('correlationid') ?? '',
    traceparent: lenient('traceparent'),
    tracestate: lenient('tracestate'),
    expiresAtMs: timestamp('expirytime'),
    trafficClass: optional('spillwayclass'),
    version: optional('spillwayversion'),
  };
}

/**
 * A header value: quotes of older senders are taken off, then `%XY` is decoded once. A per cent sign that begins no escape is one:
 * some senders do not encode.
 * @throws SpillwayError `INVALID_REQUEST` naming `at` when the escapes are no UTF-8.
 */
export function decodeAttribute(value: string, at: string): string {
  const quoted = /^"((?:[^"\\]|\\.)*)"$/s.exec(value);
  const text = quoted ? (quoted[1] as string).replaceAll(/\\(.)/gs, '$1') : value;
  if (!text.includes('%')) return text;
  const bytes = Buffer.from(text);
  let length = 0;
  for (let i = 0; i < bytes.length; i += 1) {
    const escaped = bytes[i] === 0x25 ? /^[0-9a-f]{2}$/i.exec(bytes.toString('latin1', i + 1, i + 3)) : null;
    bytes[length] = escaped ? Number.parseInt(escaped[0], 16) : (bytes[i] as number);
    length += 1;
    if (escaped) i += 2;
  }
  const decoded = bytes.subarray(0, length);
  if (!isUtf8(decoded)) throw bad(`${at}: expected percent-encoded UTF-8`);
  return decoded.toString();
}

type Members = Record<string, unknown>;

/** Integers beyond 2⁵³ keep their digits on the way through the event: `data` is written again for who reads it. */
function parseEvent(payload: Uint8Array): Members {
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString();
  const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;
  const keepDigits = (_key: string, value: unknown, context?: { source?: string }): unknown =>
    typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? '')
      ? rawJson(context?.source ?? '')
      : value;
  let event: unknown;
  try {
    event = /\d{16}/.test(text) ? JSON.parse(text, keepDigits as (k: string, v: unknown) => unknown) : JSON.parse(text);
  } catch (cause) {
    throw new SpillwayError('INVALID_REQUEST', 'payload: expected a CloudEvent in JSON', { cause });
  }
  if (typeof event === 'object' && event !== null && !Array.isArray(event)) return event as Members;
  throw bad('payload: expected one CloudEvent, a JSON object');
}

function dataOf(members: Members): Uint8Array {
  const { data, data_base64: base64 } = members;
  if (base64 === undefined || base64 === null) {
    if (data === undefined || data === null) throw bad('data: expected an infer request, got none');
    // Of another type than JSON it is a string; and a string of JSON can only be meant as what it holds.
    return Buffer.from(typeof data === 'string' ? data : JSON.stringify(data));
  }
  if (data !== undefined && data !== null) throw bad('data_base64: expected no data beside it');
  if (typeof base64 !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64) || base64.length % 4 !== 0) {
    throw bad('data_base64: expected base64');
  }
  return Buffer.from(base64, 'base64');
}
