import { HEADERS, NATS_HEADERS } from '@spillway/contracts/headers';
import type { Job } from '@spillway/contracts/messages';
import type { Name } from '@spillway/contracts/names';
import { isReplySubject, parseEventsSubject, tenantOfEvent } from '@spillway/contracts/subjects';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { type CloudEvent, isBareEvent, modeByHeaders, readCloudEvent } from './cloud-events.ts';
import { jobIdOf } from './job-id.ts';

/** A message of the events stream, as far as it matters here. */
export type EventMessage = {
  subject: string;
  payload: Uint8Array;
  streamSeq: number;
  header(name: string): string | undefined;
  headerNames(): string[];
};

/** Where the result of an event belongs: `results.<tenant>.<job>`. */
export type JobAddress = { tenant: Name; job: string };

/** What of a job belongs to its origin: the name of its result, and how that is written. */
export type JobOrigin = JobAddress &
  Required<Pick<Job, 'originSubject' | 'originSeq' | 'replyTo' | 'event' | 'replay'>>;

/** An event whose result has a place, even if the event itself is at fault. */
export type OpenedEvent = {
  /** Undefined: the subject names no tenant, so nobody could read a result. */
  job: JobOrigin | undefined;
  /** Its publisher has named the job, by whatever: an event that names it again is a repetition of the same request. */
  isNamed: boolean;
  /** Empty: the subject names none. */
  model: string;
  /** Undefined: it is plain, or at fault. */
  cloudEvent: CloudEvent | undefined;
  fault: SpillwayError | undefined;
};

/**
 * Reads what says where and how a result is written. Never throws: an event at fault has a result as well.
 * @param maxBytes Of a payload; a larger one is not looked into.
 */
export function openEvent(event: EventMessage, maxBytes: number): OpenedEvent {
  const { subject, streamSeq } = event;
  const tenant = tenantOfEvent(subject);
  const model = parseEventsSubject(subject)?.model ?? '';
  const fits = event.payload.byteLength <= maxBytes;
  const mode = modeByHeaders(event) ?? (fits && isBareEvent(event.payload) ? 'structured' : undefined);
  const read = attempt(() => {
    if (!fits) throw tooLarge(maxBytes);
    return mode && readCloudEvent(event, mode);
  });
  const cloudEvent = read.value;
  if (tenant === undefined) return { job: undefined, isNamed: false, model, cloudEvent, fault: read.fault };
  const replyTo = attempt(() => replyToOf(event, tenant));
  const replay = attempt(() => replayOf(event));
  const { id, isNamed } = jobIdOf({
    tenant,
    asked: event.header(HEADERS.job),
    msgId: messageId(event, cloudEvent),
    streamSeq,
  });
  const job: JobOrigin = {
    tenant,
    job: id,
    originSubject: subject,
    originSeq: streamSeq,
    replyTo: replyTo.value ?? '',
    event:
      mode === undefined ? null : { mode, id: cloudEvent?.id ?? '', correlationId: cloudEvent?.correlationId ?? '' },
    replay: replay.value ?? 0,
  };
  return { job, isNamed, model, cloudEvent, fault: read.fault ?? replyTo.fault ?? replay.fault };
}

const tooLarge = (maxBytes: number): SpillwayError =>
  new SpillwayError('PAYLOAD_TOO_LARGE', `payload: expected at most ${maxBytes} bytes`, { reason: 'max_body_bytes' });

function attempt<T>(read: () => T): { value?: T | undefined; fault?: SpillwayError } {
  try {
    return { value: read() };
  } catch (thrown) {
    return { fault: SpillwayError.from(thrown) };
  }
}

/** Two attributes without line feeds: no two pairs give one text. */
function messageId(event: EventMessage, cloudEvent: CloudEvent | undefined): string | undefined {
  return event.header(NATS_HEADERS.msgId) ?? (cloudEvent && `${cloudEvent.source}\n${cloudEvent.id}`);
}

/** Anybody's messages could be forged through a subject that is not the publisher's own. */
function replyToOf(event: EventMessage, tenant: Name): string {
  const subject = event.header(HEADERS.replyTo) ?? '';
  if (subject === '' || isReplySubject(subject, tenant)) return subject;
  throw new SpillwayError(
    'INVALID_REQUEST',
    `${HEADERS.replyTo}: expected a subject below _INBOX. or spillway.v1.results.${tenant}., without wildcards`,
  );
}

function replayOf(event: EventMessage): number {
  const text = event.header(HEADERS.replay) ?? '0';
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new SpillwayError('INVALID_REQUEST', `${HEADERS.replay}: expected the number of a dead letter`);
}

/** What makes sense of the payload, and came with it: a copy with these can be published again. */
export function headersToKeep(event: EventMessage): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of event.headerNames()) {
    const value = event.header(name);
    if (value !== undefined && KEPT.has(name.toLowerCase())) kept[name.toLowerCase()] = value;
    else if (value !== undefined && /^ce-[a-z0-9]+$/i.test(name)) kept[name.toLowerCase()] = value;
  }
  return kept;
}

const KEPT = new Set<string>([
  'content-type',
  HEADERS.traceparent,
  HEADERS.tracestate,
  HEADERS.requestId,
  HEADERS.trafficClass,
  HEADERS.timeoutMs,
  HEADERS.accept,
  HEADERS.modelVersion,
  HEADERS.replyTo,
  HEADERS.inferenceHeaderLength,
]);
