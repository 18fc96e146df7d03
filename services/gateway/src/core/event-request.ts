import { isTrafficClass, lowerClass, type TrafficClass } from '@spillway/contracts/classes';
import { HEADERS } from '@spillway/contracts/headers';
import { isName } from '@spillway/contracts/names';
import { parseEventsSubject } from '@spillway/contracts/subjects';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { CloudEvent } from './cloud-events.ts';
import type { EventMessage, OpenedEvent } from './event-envelope.ts';
import { bad } from './invalid-request.ts';
import { readInferCall } from './oip-infer.ts';
import type { Identity, InferRequest } from './request.ts';
import { lowerByPriority, readHeaderLength, readMetadata, smallerBudget } from './request-metadata.ts';

/**
 * `startMs` is on the gateway's monotonic clock, `epochMs` the same moment since the epoch; `ageMs` is how long the event had
 * waited in its stream by then, ≥ 0.
 */
export type EventCall = {
  requestId: string;
  startMs: number;
  epochMs: number;
  ageMs: number;
  traceparent: string;
  tracestate: string;
};
export type EventRules = {
  /** By a tenant's record. @throws SpillwayError when the tenant may not publish. */
  publisherOf(tenant: string): Pick<Identity, 'trafficClass' | 'keyId'>;
  /** Longest time for look-ups before the job is published; what the job may take afterwards is its own deadline. */
  maxPrepareMs: number;
};
/**
 * `deadlineMs` is the job's, on the gateway's monotonic clock; Infinity: it may take as long as it takes. `outputs` are those that
 * the result shall hold; empty: all.
 */
export type EventRequest = { request: InferRequest; deadlineMs: number; outputs: string[] };

function versionOf(text: string | undefined, at: string): string {
  if (text === undefined || isName(text)) return text ?? '';
  throw bad(`${at}: expected 1 to 64 letters, digits, "_" or "-"`);
}

function lowerByEvent(trafficClass: TrafficClass, asked: string | undefined): TrafficClass {
  if (asked === undefined) return trafficClass;
  if (isTrafficClass(asked)) return lowerClass(trafficClass, asked);
  throw bad('spillwayclass: expected vip, standard or bulk');
}

const leftUntil = (expiresAtMs: number | undefined, epochMs: number): number =>
  expiresAtMs === undefined ? Number.POSITIVE_INFINITY : expiresAtMs - epochMs;

/**
 * The request in an event: JSON of the Open Inference Protocol v2, with binary tensors behind it if the header
 * `inference-header-content-length` says so. The tenant is the subject's.
 * @throws SpillwayError that no repetition changes; `DEADLINE_EXCEEDED` when the event waited longer than it may.
 */
export function readEvent(event: EventMessage, opened: OpenedEvent, call: EventCall, rules: EventRules): EventRequest {
  const target = parseEventsSubject(event.subject);
  if (target === undefined) {
    throw bad('subject: expected spillway.v1.events.<tenant>.infer.<model>, names of letters, digits, "_" and "-"');
  }
  if (opened.fault !== undefined) throw opened.fault;
  const cloudEvent: Partial<CloudEvent> = opened.cloudEvent ?? {};
  const { data: payload = event.payload } = cloudEvent;
  const publisher = rules.publisherOf(target.tenant);
  const metadata = readMetadata(event.header, publisher.trafficClass);
  const headerVersion = versionOf(event.header(HEADERS.modelVersion), HEADERS.modelVersion);
  const version = headerVersion || versionOf(cloudEvent.version, 'spillwayversion');
  const headerLength = readHeaderLength(event.header(HEADERS.inferenceHeaderLength));
  const infer = readInferCall(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength), headerLength);
  const timeoutMs = infer.timeoutUs === undefined ? undefined : infer.timeoutUs / 1_000;
  const budgetMs = smallerBudget(metadata.budgetMs, timeoutMs) ?? Number.POSITIVE_INFINITY;
  const leftMs = Math.min(budgetMs - call.ageMs, leftUntil(cloudEvent.expiresAtMs, call.epochMs));
  if (leftMs <= 0) throw expired();
  const trafficClass = lowerByEvent(metadata.trafficClass, cloudEvent.trafficClass);
  const request: InferRequest = {
    id: call.requestId,
    tenant: target.tenant,
    keyId: publisher.keyId,
    trafficClass: lowerByPriority(trafficClass, infer.priority),
    accept: metadata.accept,
    model: target.model,
    version,
    inputs: infer.inputs,
    receivedAtMs: call.startMs,
    budgetMs: Math.min(leftMs, rules.maxPrepareMs),
    noCache: true,
    noStore: true,
    traceparent: call.traceparent,
    tracestate: call.tracestate,
  };
  return { request, deadlineMs: call.startMs + leftMs, outputs: infer.asked.names };
}

/** @throws SpillwayError `INVALID_REQUEST` for an output that the model has not: better now than after the run. */
export function checkOutputs(asked: readonly string[], model: { outputs: readonly { name: string }[] }): void {
  const unknown = asked.find((name) => !model.outputs.some((output) => output.name === name));
  if (unknown === undefined) return;
  throw bad(
    `outputs: the model has no output "${unknown}"; it has ${model.outputs.map(({ name }) => name).join(', ')}`,
  );
}

export const expired = (): SpillwayError =>
  new SpillwayError('DEADLINE_EXCEEDED', 'the deadline of the event ended before it could become a job', {
    reason: 'expired',
  });
