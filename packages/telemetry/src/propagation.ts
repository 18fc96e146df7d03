import { randomFillSync } from 'node:crypto';

/** A span's place in a trace, as the W3C header `traceparent` carries it. Ids are lower-case hex. */
export type TraceParent = { traceId: string; spanId: string; sampled: boolean };

const LENGTH = 55;
/** A header of a version unknown today may be longer; this much of it is looked at. */
const LONGEST = 256;

/**
 * Reads `00-<trace id>-<span id>-<flags>`, as W3C Trace Context words it. A later version may append fields, which are
 * ignored. Goes by character: a regular expression costs four times as much, and each hop of a sampled request comes here.
 * @returns undefined for everything malformed: a bad header of a caller starts a new trace, it never fails a request.
 */
export function parseTraceparent(text: string | undefined): TraceParent | undefined {
  if (text === undefined || text.length < LENGTH || text.length > LONGEST) return undefined;
  if (text[2] !== '-' || text[35] !== '-' || text[52] !== '-') return undefined;
  const version = hexKind(text, 0, 2);
  if (version === 'other' || text.startsWith('ff')) return undefined;
  if (text.length > LENGTH && (version === 'zero' || text[LENGTH] !== '-')) return undefined;
  if (hexKind(text, 3, 35) !== 'hex' || hexKind(text, 36, 52) !== 'hex' || hexKind(text, 53, LENGTH) === 'other')
    return undefined;
  const sampled = (Number.parseInt(text[54] as string, 16) & 1) === 1;
  return { traceId: text.slice(3, 35), spanId: text.slice(36, 52), sampled };
}

/** What stands in `text` from `from` to before `to`: lower-case hex, only zeros, or something else. */
function hexKind(text: string, from: number, to: number): 'hex' | 'zero' | 'other' {
  let kind: 'hex' | 'zero' = 'zero';
  for (let index = from; index < to; index += 1) {
    const code = text.charCodeAt(index);
    const isHex = (code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66); // 0-9, a-f
    if (!isHex) return 'other';
    if (code !== 0x30) kind = 'hex';
  }
  return kind;
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
