import { HEADERS, NATS_HEADERS } from '@spillway/contracts/headers';
import { CATALOGUE } from '@spillway/errors/catalogue';
import type { SpillwayError } from '@spillway/errors/spillway-error';
import { errorHeaders } from '@spillway/errors/to-oip';
import type { EventMessage } from './event-request.ts';

/** Messages quote what a publisher sent, which may be megabytes of one name. */
const MAX_CHARACTERS = 1_024;

const cut = (text: string): string => (text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS)}…` : text);
/** A header has one line. */
const headerText = (text: string): string => cut(text).replaceAll(/\p{Cc}+/gu, ' ');

export type RefusalMessage = { payload: Uint8Array; headers: Record<string, string> };

/** What is stored in place of a result. */
export function errorResult(error: SpillwayError, requestId: string): RefusalMessage {
  const { code, message, reason = '' } = error;
  return {
    payload: Buffer.from(JSON.stringify({ error: { code, message: cut(message), reason } })),
    headers: {
      ...errorHeaders(error),
      [HEADERS.requestId]: requestId,
      [NATS_HEADERS.serviceError]: headerText(message),
      [NATS_HEADERS.serviceErrorCode]: String(CATALOGUE[code].http),
    },
  };
}

/** What a publisher may have said beside the payload: without it the copy could not be read, or not be sent again. */
const KEPT = [
  HEADERS.traceparent,
  HEADERS.requestId,
  HEADERS.trafficClass,
  HEADERS.timeoutMs,
  HEADERS.modelVersion,
  HEADERS.inferenceHeaderLength,
] as const;

/**
 * The copy of a refused event.
 * @param maxBytes Of the payload. What exceeds it is cut: it was refused for its size.
 */
export function deadLetter(
  event: EventMessage & { deliveries: number },
  job: string | undefined,
  error: SpillwayError,
  maxBytes: number,
): RefusalMessage {
  const headers: Record<string, string> = {};
  for (const name of KEPT) {
    const value = event.header(name);
    if (value !== undefined) headers[name] = headerText(value);
  }
  if (job !== undefined) headers[HEADERS.job] = job;
  return {
    payload: event.payload.byteLength > maxBytes ? event.payload.subarray(0, maxBytes) : event.payload,
    headers: {
      ...headers,
      [HEADERS.error]: error.code,
      [HEADERS.reason]: headerText(error.reason ?? ''),
      [HEADERS.originSubject]: headerText(event.subject),
      [HEADERS.originSeq]: String(event.streamSeq),
      [HEADERS.deliveries]: String(event.deliveries),
    },
  };
}
