import { PROTO_DIR } from '@spillway/contracts/protos';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { ATTRIBUTES } from '@spillway/telemetry/names';
import protobuf from 'protobufjs';
import type { ScalarAttribute, SpanKind, SpanRef, TraceSpan } from './trace.ts';

const root = protobuf.loadSync(`${PROTO_DIR}/opentelemetry/trace.proto`);
const ExportRequest = root.lookupType('opentelemetry.read.ExportTraceServiceRequest');
const ExportResponse = root.lookupType('opentelemetry.read.ExportTraceServiceResponse');
const Refusal = root.lookupType('opentelemetry.read.Refusal');

/** What one export held. Spans without valid ids or times are counted, the others are taken all the same. */
export type DecodedExport = { spans: TraceSpan[]; rejected: number };

const KINDS: readonly SpanKind[] = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'];
const STATUS_ERROR = 2;
const MAX_TEXT = 1_024;
const MAX_ATTRIBUTES = 64;
const MAX_ITEMS = 64;
const MAX_LINKS = 256;

/** @throws SpillwayError `INVALID_REQUEST` when the bytes are not such a message. */
export function decodeProtobuf(body: Uint8Array): DecodedExport {
  try {
    // In this form it differs from OTLP's JSON only by ids, which are bytes: one reader serves both.
    return readExport(ExportRequest.toObject(ExportRequest.decode(body), { longs: String }));
  } catch (cause) {
    throw new SpillwayError('INVALID_REQUEST', 'expected an ExportTraceServiceRequest in protobuf', { cause });
  }
}

/** @throws SpillwayError `INVALID_REQUEST` when the text is not JSON of that message. */
export function decodeJson(body: string): DecodedExport {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch (cause) {
    throw new SpillwayError('INVALID_REQUEST', 'expected an ExportTraceServiceRequest in JSON', { cause });
  }
  if (asRecord(parsed) === undefined) throw new SpillwayError('INVALID_REQUEST', 'expected a JSON object');
  return readExport(parsed);
}

export function encodeResponse(rejected: number): Uint8Array {
  const message = rejected === 0 ? {} : { partialSuccess: { rejectedSpans: rejected, errorMessage: REJECTED } };
  return ExportResponse.encode(ExportResponse.fromObject(message)).finish();
}

export function responseJson(rejected: number): object {
  return rejected === 0 ? {} : { partialSuccess: { rejectedSpans: String(rejected), errorMessage: REJECTED } };
}

export function encodeRefusal(code: number, message: string): Uint8Array {
  return Refusal.encode(Refusal.fromObject({ code, message })).finish();
}

const REJECTED = 'expected trace and span ids of 16 and 8 bytes, and an end that is not before the start';

type Unchecked = { readonly [field: string]: unknown };
const asRecord = (value: unknown): Unchecked | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Unchecked) : undefined;
const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const asText = (value: unknown): string => (typeof value === 'string' ? value.slice(0, MAX_TEXT) : '');

function readExport(request: unknown): DecodedExport {
  const decoded: DecodedExport = { spans: [], rejected: 0 };
  for (const ofResource of asList(asRecord(request)?.['resourceSpans'])) {
    const source = readSource(asRecord(asRecord(ofResource)?.['resource']));
    for (const ofScope of asList(asRecord(ofResource)?.['scopeSpans'])) {
      for (const span of asList(asRecord(ofScope)?.['spans'])) {
        const read = readSpan(asRecord(span) ?? {}, source);
        if (read === undefined) decoded.rejected += 1;
        else decoded.spans.push(read);
      }
    }
  }
  return decoded;
}

type Source = Pick<TraceSpan, 'service' | 'instance' | 'pid'>;

function readSource(resource: Unchecked | undefined): Source {
  const attributes = readAttributes(resource?.['attributes']);
  const pid = attributes[ATTRIBUTES.processId];
  return {
    service: asText(attributes[ATTRIBUTES.serviceName]) || 'unknown',
    instance: asText(attributes[ATTRIBUTES.serviceInstance]),
    pid: typeof pid === 'number' ? pid : 0,
  };
}

function readSpan(span: Unchecked, source: Source): TraceSpan | undefined {
  const ref = readRef(span);
  const startNs = readNanoseconds(span['startTimeUnixNano']);
  const endNs = readNanoseconds(span['endTimeUnixNano']);
  if (ref === undefined || startNs === undefined || endNs === undefined || endNs < startNs) return undefined;
  const attributes = readAttributes(span['attributes']);
  const status = asRecord(span['status']);
  const code = attributes[ATTRIBUTES.errorType];
  return {
    ...ref,
    parentSpanId: readId(span['parentSpanId'], 8) ?? '',
    name: asText(span['name']) || 'unnamed',
    kind: KINDS[Number(span['kind'] ?? 0)] ?? 'unspecified',
    ...source,
    // Whole ms and the rest apart: a double of nanoseconds since the epoch is exact to 256 ns only.
    startMs: Number(startNs / 1_000_000n) + Number(startNs % 1_000_000n) / 1e6,
    durationMs: Number(endNs - startNs) / 1e6,
    attributes,
    links: asList(span['links'])
      .slice(0, MAX_LINKS)
      .flatMap((link) => readRef(asRecord(link) ?? {}) ?? []),
    ...(Number(status?.['code'] ?? 0) === STATUS_ERROR
      ? { error: { code: asText(code) || 'ERROR', message: asText(status?.['message']) } }
      : {}),
  };
}

function readRef(value: Unchecked): SpanRef | undefined {
  const traceId = readId(value['traceId'], 16);
  const spanId = readId(value['spanId'], 8);
  return traceId === undefined || spanId === undefined ? undefined : { traceId, spanId };
}

/** Bytes in protobuf; hex, in either case, in OTLP's JSON (not base64 as elsewhere in protobuf's JSON). */
function readId(value: unknown, bytes: number): string | undefined {
  const hex = value instanceof Uint8Array ? Buffer.from(value).toString('hex') : asText(value).toLowerCase();
  return hex.length === bytes * 2 && /^[0-9a-f]*[1-9a-f][0-9a-f]*$/.test(hex) ? hex : undefined;
}

/** A decimal string, or a number from senders that do not mind its precision. */
function readNanoseconds(value: unknown): bigint | undefined {
  if (typeof value === 'number') return value >= 0 && value < 2 ** 64 ? BigInt(Math.round(value)) : undefined;
  return typeof value === 'string' && /^\d{1,20}$/.test(value) ? BigInt(value) : undefined;
}

function readAttributes(list: unknown): TraceSpan['attributes'] {
  const entries = asList(list)
    .slice(0, MAX_ATTRIBUTES)
    .flatMap((item) => {
      const key = asText(asRecord(item)?.['key']);
      const value = readValue(asRecord(asRecord(item)?.['value']));
      return key === '' || value === undefined ? [] : [[key, value] as const];
    });
  return Object.fromEntries(entries); // defines, never assigns: a key `__proto__` stays a key
}

function readValue(value: Unchecked | undefined): ScalarAttribute | ScalarAttribute[] | undefined {
  const list = asRecord(value?.['arrayValue']);
  if (list === undefined) return readScalar(value);
  return asList(list['values'])
    .slice(0, MAX_ITEMS)
    .flatMap((item) => readScalar(asRecord(item)) ?? []);
}

function readScalar(value: Unchecked | undefined): ScalarAttribute | undefined {
  if (typeof value?.['stringValue'] === 'string') return asText(value['stringValue']);
  if (typeof value?.['boolValue'] === 'boolean') return value['boolValue'];
  const number = value?.['intValue'] ?? value?.['doubleValue'];
  if (typeof number === 'number' && Number.isFinite(number)) return number;
  return typeof number === 'string' && /^-?\d{1,19}$/.test(number) ? Number(number) : undefined;
}
