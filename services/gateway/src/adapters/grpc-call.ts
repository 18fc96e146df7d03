import { classRank } from '@spillway/contracts/classes';
import type { Codec } from '@spillway/contracts/codec';
import { HEADERS } from '@spillway/contracts/headers';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { CallFacts } from '@spillway/rpc/call-facts';
import { readAccept } from '../core/accept.ts';
import { refusalOf } from '../core/refusal.ts';
import type { Identity, InferRequest } from '../core/request.ts';
import { lowerByPriority, type RequestMetadata, readMetadata, smallerBudget } from '../core/request-metadata.ts';
import { requireScope } from '../core/scopes.ts';
import type { Ending } from '../telemetry.ts';
import type { DoorContext } from './door-context.ts';
import type { GrpcCall } from './grpc-dialect.ts';

export const SERVICE = 'inference.GRPCInferenceService';

/** Messages as they are: what they say is read where a failure can still be answered under the client's id. */
export const BYTES: Codec<Uint8Array> = { encode: (message) => message, decode: (bytes) => bytes };

/** Messages arrive as Buffers; a view where one does not. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** What the metadata of a call says about all of its requests. */
export type Caller = { identity: Identity; metadata: RequestMetadata };

/** @throws SpillwayError `UNAUTHENTICATED`, `FORBIDDEN`, or `INVALID_REQUEST` naming the header. */
export function callerOf(context: DoorContext, facts: CallFacts): Caller {
  const identity = context.keys.identify(facts.header('authorization'));
  requireScope(identity, 'infer');
  return { identity, metadata: readMetadata(facts.header, identity.trafficClass) };
}

/** What can be refused before a message is read: a limit, the gateway's own guard, a quota, a brake. @throws SpillwayError. */
export function passDoor({ admission, clock }: DoorContext, { identity, metadata }: Caller): void {
  const refusal = admission.atDoor(classRank(metadata.trafficClass), identity.keyId, clock.now());
  if (refusal !== undefined) throw refusalOf(refusal);
}

/**
 * The part of a client's `grpc-timeout` that may be used: the answer must be back before the client resets the stream, for a
 * connection that sees about 1000 resets is closed with all calls on it.
 */
export const usableMs = (remainingMs: number): number => Math.max(0, remainingMs - Math.max(5, remainingMs * 0.02));

export function beginRequest(context: DoorContext, parent: string, requestId: string | undefined): Ending {
  return {
    door: 'grpc',
    startMs: context.clock.now(),
    parent,
    traceparent: context.observer.begin(parent),
    requestId: requestId ?? context.ids.next(),
  };
}

/**
 * The internal request.
 * @param leftMs What is left of the call's own deadline; undefined: it has none.
 */
export function requestOf(
  { identity, metadata }: Caller,
  call: GrpcCall,
  ending: Ending,
  leftMs: number | undefined,
): InferRequest {
  if (call.model === '') throw new SpillwayError('INVALID_REQUEST', 'model_name: expected the name of a model');
  const asked = smallerBudget(metadata.budgetMs, call.timeoutUs === undefined ? undefined : call.timeoutUs / 1_000);
  return {
    id: ending.requestId,
    tenant: identity.tenant,
    keyId: identity.keyId,
    trafficClass: lowerByPriority(metadata.trafficClass, call.priority),
    accept: call.accept === undefined ? metadata.accept : readAccept(call.accept, 'parameters.spillway_accept'),
    model: call.model,
    version: call.version,
    inputs: call.inputs,
    receivedAtMs: ending.startMs,
    budgetMs: smallerBudget(asked, leftMs),
    noCache: metadata.noCache,
    noStore: metadata.noStore,
    traceparent: ending.traceparent,
    tracestate: metadata.tracestate,
  };
}

/** The caller's own trace, before anything else of the call is known to be right. */
export const parentOf = (facts: CallFacts): string => facts.header(HEADERS.traceparent) ?? '';
