import type { ModelRecord, TensorSpec } from '@spillway/contracts/buckets';
import type { HashedNgramsSpec } from './hashed-ngrams.ts';

/** Which version folders are served: the newest so many, all, or these. */
export type VersionPolicy =
  | { kind: 'latest'; count: number }
  | { kind: 'all' }
  | { kind: 'specific'; versions: string[] };

/** Text → ids, in the executor: `input` comes from the client, `output` is the graph's own input. */
export type Preprocess = { kind: 'hashed_ngrams'; input: string; output: string; spec: HashedNgramsSpec };

/** Scores → the label of the highest, in the executor: `scores` is an output of the graph, `output` what is added. */
export type Postprocess = { kind: 'label'; scores: string; output: string; labels: string[] };

export type WarmUpInput = { dims: number[]; fill: 'zero' | 'random' };
/** One extra warm-up run of `rows` rows. Dims by input, for those that are variable; others follow the declaration. */
export type WarmUp = { name: string; rows: number; inputs: Record<string, WarmUpInput> };

/** A lighter form of the model that the same instances host: another graph, or another pace of a simulated one. */
export type VariantDeclaration = {
  name: string;
  /** Measured, 0 to 1. */
  quality?: number;
  /** In place of the model's own. */
  preprocess?: Preprocess;
  /** On top of the model's own. */
  parameters: ModelDeclaration['parameters'];
};

/** Which variants may stand in under load, lightest last, and whether a caller may refuse them. */
export type Degrade = { to: string[]; qualityFloor: number; optOut: boolean };

/** What the worker only hands on to gateways and batchers, as the catalogue has it. */
export type QueueRules = Pick<
  ModelRecord,
  'preferredBatchSizes' | 'queuePolicy' | 'priorityPolicies' | 'lengthBuckets' | 'slowStartMs' | 'limits'
>;

/** What `model.yaml` says, with defaults applied. Times in ms. */
export type ModelDeclaration = {
  name: string;
  backend: 'onnxruntime' | 'simulated';
  /** Rows; 0: the model does not batch. Undefined: derived from the graph. */
  maxBatchSize?: number;
  /** What a client sends, without the batch dimension if the model batches. Empty: derived from the graph. */
  inputs: TensorSpec[];
  outputs: TensorSpec[];
  /** Instances over all executors; 0: one in every shared executor. */
  instances: number;
  ownExecutor: boolean;
  versionPolicy: VersionPolicy;
  /** Movable names of versions, the number by the label. */
  versionLabels?: Record<string, string>;
  defaultDeadlineMs: number;
  maxDeadlineMs: number;
  /** 0: the worker's own limit. */
  runLimitMs: number;
  costRule?: ModelRecord['costRule'];
  /** For the batcher: rows in the unit of `costRule`, and the longest wait for companions. 0: none. */
  maxBatchCost?: number;
  maxQueueDelayMs: number;
  queueRules: QueueRules;
  /** Measured quality of the full model, 0 to 1. */
  quality?: number;
  variants: VariantDeclaration[];
  degrade?: Degrade;
  features?: NonNullable<ModelRecord['features']>;
  preprocess?: Preprocess;
  postprocess?: Postprocess;
  responseCache?: { ttlMs: number };
  warmUps: WarmUp[];
  parameters: Record<string, string | number | boolean>;
};

export const DEFAULT_DEADLINE_MS = 5_000;
export const DEFAULT_MAX_DEADLINE_MS = 60_000;
/** Batch of a model without a declaration whose inputs and outputs all begin with a free dimension. */
export const DERIVED_MAX_BATCH_SIZE = 32;

/** The declaration of a folder that holds only `<version>/model.onnx`; its tensors are derived from the graph. */
export const derivedDeclaration = (name: string): ModelDeclaration => ({
  name,
  backend: 'onnxruntime',
  inputs: [],
  outputs: [],
  instances: 0,
  ownExecutor: false,
  versionPolicy: { kind: 'latest', count: 1 },
  defaultDeadlineMs: DEFAULT_DEADLINE_MS,
  maxDeadlineMs: DEFAULT_MAX_DEADLINE_MS,
  runLimitMs: 0,
  maxQueueDelayMs: 0,
  queueRules: {},
  variants: [],
  warmUps: [],
  parameters: {},
});

/** What a variant is to an executor: the model with the variant's differences. */
export function declarationOf(model: ModelDeclaration, variant: VariantDeclaration): ModelDeclaration {
  const { preprocess = model.preprocess, parameters } = variant;
  return { ...model, ...(preprocess && { preprocess }), parameters: { ...model.parameters, ...parameters } };
}

/** The versions to serve among the folders found, ascending. Versions are decimal numbers: 10 is newer than 9. */
export function selectVersions(found: readonly string[], policy: VersionPolicy): string[] {
  const sorted = [...found].sort((a, b) => Number(a) - Number(b));
  switch (policy.kind) {
    case 'all':
      return sorted;
    case 'latest':
      return sorted.slice(-policy.count);
    case 'specific':
      return sorted.filter((version) => policy.versions.includes(version));
  }
}

/** The first label of a version that is not served, if there is one. */
export const labelOfNothing = (
  { versionLabels = {} }: Pick<ModelDeclaration, 'versionLabels'>,
  served: readonly string[],
): string | undefined => Object.keys(versionLabels).find((label) => !served.includes(versionLabels[label] as string));

/** 1, 2, 4, … and the largest batch itself: the sizes that are warmed before a model is ready. */
export function batchBuckets(maxBatchSize: number): number[] {
  const buckets: number[] = [];
  for (let rows = 1; rows < maxBatchSize; rows *= 2) buckets.push(rows);
  return [...buckets, Math.max(1, maxBatchSize)];
}

/** Rows, or bytes / 4 where text comes in: an entity id is BYTES too, and no text. */
export function costRuleOf(declaration: ModelDeclaration, inputs: readonly TensorSpec[]): ModelRecord['costRule'] {
  if (declaration.costRule !== undefined) return declaration.costRule;
  const text = inputs.some((input) => input.datatype === 'BYTES' && input.name !== declaration.features?.entity);
  return text ? 'bytes/4' : 'rows';
}
