import { randomFillSync } from 'node:crypto';

/** A span's place in a trace, as the W3C header `traceparent` carries it. Ids are lower-case hex. */
export type TraceParent = { traceId: string; spanId: string; sampled: boolean };

/** Version 00 as W3C Trace Context words it; a later version may append fields, which a reader ignores. */
const TRACEPARENT =
  /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-[\x20-\x7e]*)?$/;
const LENGTH = 55;
/** A header of a version unknown today is read only up to here. */
const LONGEST = 256;

/**
 * Reads `00-<trace id>-<span id>-<flags>`.
 * @returns undefined for everything malformed: a bad header of a caller starts a new trace, it never fails a request.
 */
export function parseTraceparent(text: string | undefined): TraceParent | undefined {
  if (text === undefined || text.length < LENGTH || text.length > LONGEST) return undefined;
  const match = TRACEPARENT.exec(text);
  if (match === null) return undefined;
  const [, version, traceId, spanId, flags] = match as unknown as [string, string, string, string, string];
  if (version === '00' && text.length !== LENGTH) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** Writes version 00; of the flags only `sampled` is ours. */
export function formatTraceparent({ traceId, spanId, sampled }: TraceParent): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

/** The trace id of a traceparent, '' when there is none: for logs and the reply's header. */
export function traceIdOf(traceparent: string): string {
  return traceparent.length >= LENGTH ? traceparent.slice(3, 35) : '';
}

/** One call for entropy serves 512 ids, about 0.1 µs each; a call per id costs ten times that. */
const entropy = Buffer.allocUnsafeSlow(8_192);
let used = entropy.length;

function randomHex(bytes: number): string {
  if (used + bytes > entropy.length) {
    randomFillSync(entropy);
    used = 0;
  }
  const from = used;
  used += bytes;
  return entropy.toString('hex', from, used);
}

const NO_SPAN = '0'.repeat(16);

/** 16 random bytes in hex. All zeros, which the specification forbids, has a chance of 2⁻¹²⁸ and is left to it. */
export function newTraceId(): string {
  return randomHex(16);
}

/** 8 random bytes in hex, never all zeros. */
export function newSpanId(): string {
  const id = randomHex(8);
  return id === NO_SPAN ? newSpanId() : id;
}
