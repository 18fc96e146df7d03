import type { Fault } from '@spillway/config/config-error';
import type { QueuePolicy } from '@spillway/contracts/buckets';
import { CLASSES } from '@spillway/contracts/classes';
import { z } from 'zod';
import type { QueueRules } from '../core/model-declaration.ts';

/*
 * What model.yaml says about queue and batches. `dynamic_batching` is Triton's ModelDynamicBatching, its levels of priority are
 * our classes; length_buckets, slow_start and limits are Spillway's own. The worker hands all of it on.
 */

const US_PER_MS = 1_000;
const MAX_TIMEOUT_US = 3_600_000_000;
const MAX_DELAY_US = 60_000_000;
const MAX_UINT32 = 2 ** 32 - 1;
const MAX_SLOW_START_MS = 3_600_000;
const UNITS = { ms: 1, s: 1_000, m: 60_000 } as const;

const queuePolicy = z.strictObject({
  timeout_action: z.enum(['REJECT', 'DELAY']).optional(),
  default_timeout_microseconds: z.int().min(0).max(MAX_TIMEOUT_US).optional(), // 0: none of its own, as in Triton
  allow_timeout_override: z.boolean().optional(),
  max_queue_size: z.int().min(0).max(MAX_UINT32).optional(),
});

export const dynamicBatching = z.strictObject({
  preferred_batch_size: z.array(z.int().min(1)).max(64).optional(),
  max_queue_delay_microseconds: z.int().min(0).max(MAX_DELAY_US).optional(),
  preserve_ordering: z.boolean().optional(),
  priority_levels: z.int().min(0).max(CLASSES.length).optional(),
  default_priority_level: z.int().min(1).max(CLASSES.length).optional(),
  default_queue_policy: queuePolicy.optional(),
  priority_queue_policy: z.record(z.string(), queuePolicy).optional(),
});

/** Spillway's own members beside `dynamic_batching`. */
export const queueMembers = {
  length_buckets: z.array(z.number().positive()).min(1).max(16).optional(),
  slow_start: z
    .strictObject({
      over: z.string().regex(/^(batches|[1-9][0-9]{0,6}(ms|s|m))$/, 'expected "batches" or a time such as "30s"'),
    })
    .optional(),
  limits: z
    .strictObject({
      max_in_flight: z.int().min(1).max(1_000_000).optional(),
      rate: z.number().positive().max(10_000_000).optional(),
    })
    .optional(),
};

const queueYaml = z.object({ dynamic_batching: dynamicBatching.optional(), ...queueMembers });
export type QueueYaml = z.infer<typeof queueYaml>;

const timeoutMs = (policy: z.infer<typeof queuePolicy> | undefined): number | undefined => {
  const us = policy?.default_timeout_microseconds ?? 0;
  return us === 0 ? undefined : us / US_PER_MS;
};

/** The model's default deadline, and the longest of any class; undefined or 0: not declared. */
export function declaredTimeouts({ dynamic_batching: batching = {} }: QueueYaml) {
  const { default_queue_policy: policy, priority_queue_policy: policies = {} } = batching;
  const defaultMs = timeoutMs(policy);
  return { defaultMs, longestMs: Math.max(defaultMs ?? 0, ...Object.values(policies).map((of) => timeoutMs(of) ?? 0)) };
}

export const queueDelayMs = ({ dynamic_batching: batching }: QueueYaml): number =>
  (batching?.max_queue_delay_microseconds ?? 0) / US_PER_MS;

/** What the queue's members say together. @param maxRows Largest batch. @param maxDeadlineMs If it is declared. */
export function queueFaults(yaml: QueueYaml, maxRows: number, maxDeadlineMs: number | undefined): Fault[] {
  const faults: Fault[] = [];
  const fault = (subject: string, text: string) => faults.push({ subject, text });
  const { dynamic_batching: batching = {}, length_buckets: buckets = [], slow_start: slowStart } = yaml;
  if (batching.preserve_ordering === true) {
    fault(
      'dynamic_batching.preserve_ordering',
      'expected false, got true: answers name their request and keep no order',
    );
  }
  for (const [index, rows] of (batching.preferred_batch_size ?? []).entries()) {
    if (rows > maxRows) {
      fault(
        `dynamic_batching.preferred_batch_size[${index}]`,
        `expected at most max_batch_size ${maxRows}, got ${rows}`,
      );
    }
  }
  const levels = batching.priority_levels ?? 0;
  const { default_priority_level: defaultLevel, priority_queue_policy: policies = {} } = batching;
  if (defaultLevel !== undefined && defaultLevel > levels) {
    fault('dynamic_batching.default_priority_level', `expected at most priority_levels ${levels}, got ${defaultLevel}`);
  }
  for (const level of Object.keys(policies)) {
    if (!/^[1-3]$/.test(level) || Number(level) > levels) {
      fault(
        'dynamic_batching.priority_queue_policy',
        `expected levels from 1 to priority_levels ${levels}, got "${level}"`,
      );
    }
  }
  const { longestMs } = declaredTimeouts(yaml);
  if (maxDeadlineMs !== undefined && longestMs > maxDeadlineMs) {
    fault('max_deadline_ms', `expected at least the longest default deadline of ${longestMs} ms, got ${maxDeadlineMs}`);
  }
  for (const [index, bound] of buckets.entries()) {
    const before = buckets[index - 1] ?? 0;
    if (bound <= before)
      fault(`length_buckets[${index}]`, `expected more than ${before}, the one before it, got ${bound}`);
  }
  if (slowStart !== undefined && slowStartMs(slowStart.over) > MAX_SLOW_START_MS) {
    fault('slow_start.over', `expected at most 60m, got "${slowStart.over}"`);
  }
  return faults;
}

/** 0: by batches. */
function slowStartMs(over: string): number {
  const [, count, unit] = /^([0-9]+)(ms|s|m)$/.exec(over) ?? [];
  return Number(count ?? 0) * UNITS[(unit ?? 'ms') as keyof typeof UNITS];
}

const toPolicy = (policy: z.infer<typeof queuePolicy>): QueuePolicy => ({
  timeoutAction: policy.timeout_action === 'DELAY' ? 'delay' : 'reject',
  allowTimeoutOverride: policy.allow_timeout_override ?? false,
  maxQueueSize: policy.max_queue_size ?? 0,
});

/** @param yaml Without faults. */
export function toQueueRules({ dynamic_batching: batching = {}, ...own }: QueueYaml): QueueRules {
  const {
    preferred_batch_size: preferred = [],
    default_queue_policy: policy,
    priority_queue_policy: policies,
  } = batching;
  const byClass = Object.entries(policies ?? {}).map(([level, of]) => {
    const defaultTimeoutMs = timeoutMs(of);
    const rules = { ...toPolicy(of), ...(defaultTimeoutMs !== undefined && { defaultTimeoutMs }) };
    return [CLASSES[Number(level) - 1] as string, rules] as const;
  });
  const overMs = slowStartMs(own.slow_start?.over ?? 'batches');
  const { max_in_flight: maxInFlight, rate } = own.limits ?? {};
  return {
    ...(preferred.length > 0 && { preferredBatchSizes: [...new Set(preferred)].sort((a, b) => a - b) }),
    ...(policy && { queuePolicy: toPolicy(policy) }),
    ...(byClass.length > 0 && { priorityPolicies: Object.fromEntries(byClass) }),
    ...(own.length_buckets && { lengthBuckets: own.length_buckets }),
    ...(overMs > 0 && { slowStartMs: overMs }),
    ...(own.limits && {
      limits: { ...(maxInFlight !== undefined && { maxInFlight }), ...(rate !== undefined && { rate }) },
    }),
  };
}
