import { HEADERS, NATS_HEADERS } from '@spillway/contracts/headers';
import { isName, type Name } from '@spillway/contracts/names';
import { parseEventsSubject } from '@spillway/contracts/subjects';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { jobIdOf } from './job-id.ts';
import { readInferCall } from './oip-infer.ts';
import type { Identity, InferRequest } from './request.ts';
import { lowerByPriority, readHeaderLength, readMetadata, smallerBudget } from './request-metadata.ts';

/** A message of the events stream, as far as it matters here. */
export type EventMessage = {
  subject: string;
  payload: Uint8Array;
  streamSeq: number;
  ackSubject: string;
  header(name: string): string | undefined;
};

/** Where the result of an event belongs: `results.<tenant>.<job>`. */
export type JobAddress = { tenant: Name; job: string };

/** Undefined: the subject names no tenant, so nobody could read a result. The rest of it may be wrong. */
export function addressOf(event: EventMessage): JobAddress | undefined {
  const tenant = event.subject.split('.')[3] ?? '';
  if (!isName(tenant)) return undefined;
  const asked = event.header(HEADERS.job);
  const msgId = event.header(NATS_HEADERS.msgId);
  return { tenant, job: jobIdOf({ tenant, asked, msgId, streamSeq: event.streamSeq }) };
}

/**
 * When the server stored the message, ms since the epoch, from
 * `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time in ns>.<pending>` or its longer form with domain
 * and account.
 */
export function storedAtMs(ackSubject: string): number {
  const tokens = ackSubject.split('.');
  return Number(tokens[tokens.length >= 11 ? 9 : 7]) / 1e6;
}

/** `startMs` is on the gateway's monotonic clock; `ageMs` is how long the event had waited in its stream by then, ≥ 0. */
export type EventCall = { requestId: string; startMs: number; ageMs: number; traceparent: string };
export type EventRules = {
  /** By a tenant's record. @throws SpillwayError when the tenant may not publish. */
  publisherOf(tenant: string): Pick<Identity, 'trafficClass' | 'keyId'>;
  maxBodyBytes: number;
  /** Longest time for look-ups before the job is published; what the job may take afterwards is its own deadline. */
  maxPrepareMs: number;
};
/** `deadlineMs` is the job's, on the gateway's monotonic clock; Infinity: it may take as long as it takes. */
export type EventRequest = { address: JobAddress; request: InferRequest; deadlineMs: number };

const bad = (message: string): SpillwayError => new SpillwayError('INVALID_REQUEST', message);

function versionOf(text: string | undefined): string {
  if (text === undefined || isName(text)) return text ?? '';
  throw bad(`${HEADERS.modelVersion}: expected 1 to 64 letters, digits, "_" or "-"`);
}

/** Served as if they were plain, their deadline and identity would be dropped without a word. */
function refuseCloudEvents(event: EventMessage): void {
  const structured = /^application\/cloudevents/i.test(event.header('content-type') ?? '');
  if (!structured && event.header('ce-specversion') === undefined) return;
  throw new SpillwayError('UNSUPPORTED', 'CloudEvents are not served yet: expected an infer request in plain JSON');
}

/**
 * The request in a plain event: JSON of the Open Inference Protocol v2, with binary tensors behind it if the header
 * `inference-header-content-length` says so. The tenant is the subject's.
 * @throws SpillwayError that no repetition changes; `DEADLINE_EXCEEDED` when the event waited longer than it may.
 */
export function readEvent(event: EventMessage, call: EventCall, rules: EventRules): EventRequest {
  const target = parseEventsSubject(event.subject);
  const address = addressOf(event);
  if (target === undefined || address === undefined) {
    throw bad('subject: expected spillway.v1.events.<tenant>.infer.<model>, names of letters, digits, "_" and "-"');
  }
  const { payload } = event;
  if (payload.byteLength > rules.maxBodyBytes) {
    throw new SpillwayError('PAYLOAD_TOO_LARGE', `payload: expected at most ${rules.maxBodyBytes} bytes`, {
      reason: 'max_body_bytes',
    });
  }
  refuseCloudEvents(event);
  const publisher = rules.publisherOf(target.tenant);
  const metadata = readMetadata(event.header, publisher.trafficClass);
  const version = versionOf(event.header(HEADERS.modelVersion));
  const headerLength = readHeaderLength(event.header(HEADERS.inferenceHeaderLength));
  const infer = readInferCall(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength), headerLength);
  const timeoutMs = infer.timeoutUs === undefined ? undefined : infer.timeoutUs / 1_000;
  const budgetMs = smallerBudget(metadata.budgetMs, timeoutMs) ?? Number.POSITIVE_INFINITY;
  const leftMs = budgetMs - call.ageMs;
  if (leftMs <= 0) throw expired();
  const request: InferRequest = {
    id: call.requestId,
    tenant: target.tenant,
    keyId: publisher.keyId,
    trafficClass: lowerByPriority(metadata.trafficClass, infer.priority),
    accept: metadata.accept,
    model: target.model,
    version,
    inputs: infer.inputs,
    receivedAtMs: call.startMs,
    budgetMs: Math.min(leftMs, rules.maxPrepareMs),
    noCache: true,
    noStore: true,
    traceparent: call.traceparent,
  };
  return { address, request, deadlineMs: call.startMs + leftMs };
}

export const expired = (): SpillwayError =>
  new SpillwayError('DEADLINE_EXCEEDED', 'the deadline of the event ended before it could become a job', {
    reason: 'expired',
  });
