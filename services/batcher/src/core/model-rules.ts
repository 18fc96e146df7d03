import type { ModelRecord } from '@spillway/contracts/buckets';
import { CLASSES } from '@spillway/contracts/classes';

/** Triton's queue policy of a class. */
export type ClassPolicy = {
  /** Longest wait; Infinity: only the request's own deadline counts. */
  timeoutMs: number;
  /** What becomes of a request beyond it: out, or behind all others of its class. */
  timeoutAction: 'reject' | 'delay';
  /** Requests held of the class; Infinity: the pull plan alone bounds them. */
  maxRequests: number;
};

/** What belongs to the model. */
export type BatchRules = {
  /** Sum of the costs in one batch; Infinity: only rows count. */
  maxBatchCost: number;
  /** Sum of the bytes in one batch: it must fit the message that carries it. */
  maxBatchBytes: number;
  /** Longest wait for companions while an instance is free; 0: a free instance takes what is there. */
  maxQueueDelayMs: number;
  /** Kept for the way back: a row must be through the model this long before its deadline. */
  replyMarginMs: number;
  /** Of the defaults of its classes: a batch must not take a large part of it. */
  shortestDeadlineMs: number;
  /** Ascending; a batch of one of these sizes is preferred to a larger one. */
  preferredRows: readonly number[];
  /** By rank. */
  policies: readonly ClassPolicy[];
  /** Upper bounds of a row's cost, ascending: only rows of one bucket share a batch. */
  lengthBuckets: readonly number[];
  /** A new executor's load grows over this time; 0: with each batch. */
  slowStartMs: number;
};

/** A message to a worker holds at most 16 MiB; ids and fields of the largest batch fit into the rest. */
const MAX_BATCH_BYTES = 14 * 1024 * 1024;
/** A longer wait for companions costs more than they save, whatever the model asks for. */
const MOST_QUEUE_DELAY_MS = 2;
const QUEUE_DELAY_SHARE = 0.05;

/**
 * The rules of a model, from its entry in the catalogue. Triton's knobs keep their meaning, with two bounds: a request's own
 * deadline always counts, whatever `allowTimeoutOverride` says, and the queue delay stays far below the deadline.
 */
export function rulesOf(record: ModelRecord, { replyMarginMs }: { replyMarginMs: number }): BatchRules {
  const { maxBatchCost = Number.POSITIVE_INFINITY, maxQueueDelayMs = 0, defaultDeadlineMs } = record;
  const policies = CLASSES.map((trafficClass) => policyOf(record, trafficClass));
  const shortestDeadlineMs = Math.min(
    defaultDeadlineMs,
    ...Object.values(record.priorityPolicies ?? {}).map((policy) => positive(policy.defaultTimeoutMs)),
  );
  return {
    maxBatchCost,
    maxBatchBytes: MAX_BATCH_BYTES,
    maxQueueDelayMs: Math.min(maxQueueDelayMs, MOST_QUEUE_DELAY_MS, QUEUE_DELAY_SHARE * shortestDeadlineMs),
    replyMarginMs,
    shortestDeadlineMs,
    preferredRows: ascending(record.preferredBatchSizes),
    policies,
    lengthBuckets: ascending(record.lengthBuckets),
    slowStartMs: record.slowStartMs ?? 0,
  };
}

/** Which bucket a row of this cost belongs to; those beyond the last bound have one of their own. */
export function bucketOf(buckets: readonly number[], cost: number): number {
  const index = buckets.findIndex((bound) => cost <= bound);
  return index === -1 ? buckets.length : index;
}

function policyOf(record: ModelRecord, trafficClass: string): ClassPolicy {
  const own = record.priorityPolicies?.[trafficClass];
  const { timeoutAction = 'reject', maxQueueSize = 0 } = own ?? record.queuePolicy ?? {};
  // The model's default is in the deadline already, unless requests beyond it are to wait on.
  const defaultMs = timeoutAction === 'delay' ? record.defaultDeadlineMs : Number.POSITIVE_INFINITY;
  return {
    timeoutMs: positive(own?.defaultTimeoutMs ?? defaultMs),
    timeoutAction,
    maxRequests: positive(maxQueueSize),
  };
}

/** Triton's 0 is "no bound". */
const positive = (bound: number | undefined): number =>
  bound !== undefined && bound > 0 ? bound : Number.POSITIVE_INFINITY;

const ascending = (numbers: readonly number[] = []): number[] =>
  [...numbers].filter((number) => number > 0).sort((a, b) => a - b);
