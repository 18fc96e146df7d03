import type { ModelRecord, QueuePolicy, TensorSpec } from '@spillway/contracts/buckets';
import { CLASSES, classRank } from '@spillway/contracts/classes';

const US_PER_MS = 1_000;
/** Level of a request that names none and whose key says nothing either: the class standard. Levels count from 1. */
const DEFAULT_LEVEL = classRank('standard') + 1;

export type QueuePolicyConfig = {
  timeout_action: 'REJECT' | 'DELAY';
  default_timeout_microseconds: number;
  allow_timeout_override: boolean;
  max_queue_size: number;
};
export type DynamicBatchingConfig = {
  preferred_batch_size: number[];
  max_queue_delay_microseconds: number;
  preserve_ordering: boolean;
  priority_levels: number;
  default_priority_level: number;
  default_queue_policy: QueuePolicyConfig;
  /** By level. */
  priority_queue_policy: Record<string, QueuePolicyConfig>;
};

/** `inference.ModelConfig`, with the field names of its proto: the JSON of the HTTP door and the message of the gRPC door. */
export type ModelConfig = ReturnType<typeof modelConfig>;

/**
 * A model's catalogue entry in Triton's words. Its tensors are those of the metadata; `dims` has no batch dimension. How many
 * instances there are changes with the workers, so `instance_group` is left out.
 */
export function modelConfig(record: ModelRecord) {
  return {
    name: record.model,
    platform: record.platform,
    backend: record.backend,
    version_policy: { specific: { versions: record.versions.map(Number) } },
    max_batch_size: record.maxBatchSize,
    input: record.inputs.map((spec) => ({
      ...tensorConfig(spec),
      format: 'FORMAT_NONE' as const,
      is_shape_tensor: false,
      allow_ragged_batch: false,
      optional: false,
    })),
    output: record.outputs.map((spec) => ({ ...tensorConfig(spec), label_filename: '', is_shape_tensor: false })),
    ...(record.maxBatchSize > 1 && { dynamic_batching: dynamicBatching(record) }),
    model_transaction_policy: { decoupled: false },
    response_cache: { enable: record.responseCache !== undefined },
    parameters: {},
  };
}

const tensorConfig = ({ name, datatype, dims }: TensorSpec) => ({
  name,
  data_type: datatype === 'BYTES' ? 'TYPE_STRING' : `TYPE_${datatype}`,
  dims,
});

function dynamicBatching(record: ModelRecord): DynamicBatchingConfig {
  const { preferredBatchSizes = [], maxQueueDelayMs = 0, priorityPolicies = {}, queuePolicy } = record;
  const byLevel = CLASSES.flatMap((trafficClass, rank) => {
    const policy = priorityPolicies[trafficClass];
    if (policy === undefined) return [];
    return [[String(rank + 1), policyConfig(policy, policy.defaultTimeoutMs ?? record.defaultDeadlineMs)] as const];
  });
  return {
    preferred_batch_size: preferredBatchSizes,
    max_queue_delay_microseconds: Math.round(maxQueueDelayMs * US_PER_MS),
    preserve_ordering: false,
    priority_levels: CLASSES.length,
    default_priority_level: DEFAULT_LEVEL,
    default_queue_policy: policyConfig(queuePolicy, record.defaultDeadlineMs),
    priority_queue_policy: Object.fromEntries(byLevel),
  };
}

const policyConfig = (policy: QueuePolicy | undefined, defaultTimeoutMs: number): QueuePolicyConfig => ({
  timeout_action: policy?.timeoutAction === 'delay' ? 'DELAY' : 'REJECT',
  default_timeout_microseconds: Math.round(defaultTimeoutMs * US_PER_MS),
  allow_timeout_override: true, // whatever is declared: a caller's own deadline always counts
  max_queue_size: policy?.maxQueueSize ?? 0,
});
