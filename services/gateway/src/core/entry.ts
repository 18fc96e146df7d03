import type { ModelRecord } from '@spillway/contracts/buckets';
import { CLASSES, classRank } from '@spillway/contracts/classes';
import type { WorkItem } from '@spillway/contracts/messages';
import type { SpillwayError } from '@spillway/errors/spillway-error';
import type { Decision } from './admission/types.ts';
import { resolveVersion } from './model-version.ts';
import { noAnswerWithin } from './refusal.ts';
import type { CacheOutcome, InferRequest, Prepared, Settle, TensorValue } from './request.ts';
import { encodeTensors } from './tensor-codec.ts';
import { costOf, validateInputs } from './validate.ts';

/** Exactly one of the two is called, once. */
export type Handover = { ready(prepared: Prepared): void; failed(error: SpillwayError): void };

/** One request between the door and its answer. */
export type Entry = {
  readonly seq: number;
  readonly deadlineMs: number;
  readonly request: InferRequest;
  readonly model: ModelRecord;
  readonly version: string;
  readonly rows: number;
  /** In the unit of the model's `cost` rule. */
  readonly cost: number;
  settle: Settle;
  inputs: TensorValue[];
  cacheKey: Uint8Array | undefined;
  cache: CacheOutcome;
  /** When the cache was asked. */
  askedAtMs: number;
  /** Empty: the full model. */
  variant: string;
  /** What keeps the answer from being an idle mesh's: `features`, `variant`, `stale`, with commas between. */
  degraded: string;
  /** Look-ups that must come back before the request can be sent. */
  waitingFor: number;
  /** It counts against the limits of its model until it ends. */
  admitted: boolean;
  /** As admission counted it: milliseconds of one model instance. */
  costIms: number;
  predictedFinishMs: number;
  sentAtMs: number;
  /** How often it was sent. */
  attempts: number;
  /** Set: it is handed over instead of sent, and not answered from here. */
  ready: Handover['ready'] | undefined;
};

/**
 * Holds a request against the catalogue: model, version, inputs, deadline.
 * @throws SpillwayError for everything that can be said at once.
 */
export function newEntry(
  request: InferRequest,
  settle: Settle,
  { model, seq }: { model: ModelRecord; seq: number },
): Entry {
  const version = resolveVersion(model, request.version);
  const rows = validateInputs(request, model);
  const budgetMs = Math.min(request.budgetMs ?? model.defaultDeadlineMs, model.maxDeadlineMs);
  const deadlineMs = request.receivedAtMs + budgetMs;
  return {
    seq,
    deadlineMs,
    request,
    model,
    version,
    rows,
    cost: costOf(model, request.inputs, rows),
    settle,
    inputs: request.inputs,
    cacheKey: undefined,
    cache: 'bypass',
    askedAtMs: 0,
    variant: '',
    degraded: '',
    waitingFor: 0,
    admitted: false,
    costIms: 0,
    predictedFinishMs: 0,
    sentAtMs: 0,
    attempts: 1,
    ready: undefined,
  };
}

/** The request as it travels, at `sentAtMs`. */
export const itemOf = ({ seq, request, deadlineMs, sentAtMs, rows, cost, inputs }: Entry): WorkItem => ({
  seq,
  requestId: request.id,
  budgetMs: Math.max(0, deadlineMs - sentAtMs),
  rows,
  cost,
  route: 0,
  traceparent: request.traceparent,
  tensors: encodeTensors(inputs),
  tenant: request.tenant,
});

/** One more reason why the answer is not an idle mesh's. */
export function markDegraded(entry: Entry, by: 'features' | 'variant' | 'stale'): void {
  if (entry.degraded === '') entry.degraded = by;
  else if (!entry.degraded.split(',').includes(by)) entry.degraded += `,${by}`;
}

/** It is let in as it was decided: maybe one class lower, maybe by a lighter variant. */
export function admit(entry: Entry, { rank, variant, costIms, predictedFinishMs }: Decision): void {
  const { request } = entry;
  if (rank > classRank(request.trafficClass)) request.trafficClass = CLASSES[rank] ?? request.trafficClass;
  if (variant !== '') {
    entry.variant = variant;
    markDegraded(entry, 'variant');
  }
  entry.admitted = true;
  entry.costIms = costIms;
  entry.predictedFinishMs = predictedFinishMs;
}

/** What the gateway answers to a request whose time is over. */
export const expired = ({ deadlineMs, request }: Entry): SpillwayError =>
  noAnswerWithin(deadlineMs - request.receivedAtMs);
