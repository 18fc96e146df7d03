import { basename, join } from 'node:path';
import { ConfigError, type Fault } from '@spillway/config/config-error';
import { readYamlFile } from '@spillway/config/yaml-file';
import { isName } from '@spillway/contracts/names';
import type { DataTypeName } from '@spillway/contracts/tensor';
import { z } from 'zod';
import {
  DEFAULT_DEADLINE_MS,
  DEFAULT_MAX_DEADLINE_MS,
  DERIVED_MAX_BATCH_SIZE,
  type ModelDeclaration,
  type VersionPolicy,
} from '../core/model-declaration.ts';
import {
  declaredTimeouts,
  dynamicBatching,
  queueDelayMs,
  queueFaults,
  queueMembers,
  toQueueRules,
} from './queue-yaml.ts';
import { labelsOf, postprocess, preprocess, tensorName } from './text-yaml.ts';
import { name, parameters, toVariants, variantFaults, variantMembers } from './variants-yaml.ts';

/*
 * model.yaml: field names of Triton's config.pbtxt where it has one, and Spillway's own. Those of queue, text and variants have
 * files of their own beside this one. A field that is not known is a fault: usually a misspelling.
 */

const MAX_BATCH_SIZE = 4_096;
const MAX_INSTANCES = 64;

/** `TYPE_FP32` → `FP32`; Triton's TYPE_STRING is the protocol's BYTES. */
const TYPES = {
  TYPE_BOOL: 'BOOL',
  TYPE_UINT8: 'UINT8',
  TYPE_UINT16: 'UINT16',
  TYPE_UINT32: 'UINT32',
  TYPE_UINT64: 'UINT64',
  TYPE_INT8: 'INT8',
  TYPE_INT16: 'INT16',
  TYPE_INT32: 'INT32',
  TYPE_INT64: 'INT64',
  TYPE_FP16: 'FP16',
  TYPE_FP32: 'FP32',
  TYPE_FP64: 'FP64',
  TYPE_STRING: 'BYTES',
} as const satisfies Record<string, DataTypeName>;

const dataType = z.enum(Object.keys(TYPES) as (keyof typeof TYPES)[]).transform((name) => TYPES[name]);
const dim = z
  .int()
  .min(-1)
  .max(2 ** 31 - 1);
const dims = z.array(dim).max(32);
const tensor = z
  .strictObject({ name: tensorName, data_type: dataType, dims })
  .transform(({ name: tensorNameOf, data_type, dims: shape }) => ({
    name: tensorNameOf,
    datatype: data_type,
    dims: shape,
  }));

const instanceGroup = z.strictObject({
  name: z.string().optional(),
  count: z.int().min(1).max(MAX_INSTANCES).default(1),
  kind: z.enum(['KIND_AUTO', 'KIND_CPU', 'KIND_GPU', 'KIND_MODEL']).default('KIND_AUTO'),
  gpus: z.array(z.int().min(0)).optional(),
});

const versionPolicy = z.union([
  z.strictObject({ latest: z.strictObject({ num_versions: z.int().min(1).default(1) }) }),
  z.strictObject({ all: z.strictObject({}) }),
  z.strictObject({ specific: z.strictObject({ versions: z.array(z.int().min(1)).min(1) }) }),
]);

/** Digits are a version wherever a caller names one. */
const isLabel = (text: string): boolean => isName(text) && !/^\d+$/.test(text);

const warmUpInput = z
  .strictObject({
    data_type: dataType.optional(),
    dims,
    zero_data: z.boolean().optional(),
    random_data: z.boolean().optional(),
  })
  .transform((input) => ({
    dims: input.dims,
    fill: input.random_data === true ? ('random' as const) : ('zero' as const),
  }));
const warmUp = z.strictObject({
  name: z.string().default(''),
  batch_size: z.int().min(1).max(MAX_BATCH_SIZE).default(1),
  inputs: z.record(tensorName, warmUpInput),
});

const features = z.strictObject({
  entity: tensorName,
  tensors: z.array(z.strictObject({ view: name, input: tensorName })).min(1),
});

const modelYaml = z.strictObject({
  name: name.optional(),
  backend: z.enum(['onnxruntime', 'simulated']).default('onnxruntime'),
  platform: z.literal('onnxruntime_onnx').optional(),
  max_batch_size: z.int().min(0).max(MAX_BATCH_SIZE).optional(),
  input: z.array(tensor).max(256).default([]),
  output: z.array(tensor).max(256).default([]),
  instance_group: z.array(instanceGroup).max(16).optional(),
  version_policy: versionPolicy.optional(),
  version_labels: z.record(z.string(), z.int().min(1)).optional(),
  dynamic_batching: dynamicBatching.optional(),
  ...queueMembers,
  ...variantMembers,
  model_warmup: z.array(warmUp).max(64).default([]),
  response_cache: z
    .strictObject({ enable: z.boolean(), ttl_seconds: z.number().positive().max(86_400).default(60) })
    .optional(),
  run_limit_ms: z.number().positive().max(3_600_000).optional(),
  max_deadline_ms: z.number().positive().max(3_600_000).optional(),
  cost: z.enum(['rows', 'bytes/4']).optional(),
  max_batch_cost: z.number().positive().optional(),
  features: features.optional(),
  preprocess: preprocess.optional(),
  postprocess: postprocess.optional(),
  parameters,
});

type ModelYaml = z.infer<typeof modelYaml>;

/**
 * Reads the declaration of a model. @param folder The model's folder; its last part is the model's name.
 * @throws ConfigError naming the file and every field that is wrong.
 */
export function readModelYaml(folder: string): ModelDeclaration {
  const model = basename(folder);
  const file = `${model}/model.yaml`;
  const yaml = readYamlFile(join(folder, 'model.yaml'), modelYaml, file);
  const faults = crossChecks(yaml, model);
  if (faults.length > 0) throw new ConfigError(file, faults);
  return toDeclaration(yaml, model, labelsOf(yaml.postprocess, file, folder));
}

function crossChecks(yaml: ModelYaml, folder: string): Fault[] {
  const maxRows = yaml.max_batch_size ?? DERIVED_MAX_BATCH_SIZE;
  const faults = [...queueFaults(yaml, maxRows, yaml.max_deadline_ms), ...variantFaults(yaml)];
  if (yaml.name !== undefined && yaml.name !== folder) {
    faults.push({ subject: 'name', text: `expected "${folder}", the name of its folder, got "${yaml.name}"` });
  }
  for (const side of ['input', 'output'] as const) {
    for (const [index, { name: tensorNameOf }] of yaml[side].entries()) {
      if (yaml[side].findIndex((other) => other.name === tensorNameOf) < index) {
        faults.push({
          subject: `${side}[${index}].name`,
          text: `expected a name of its own, got "${tensorNameOf}" again`,
        });
      }
    }
  }
  for (const label of Object.keys(yaml.version_labels ?? {})) {
    if (isLabel(label)) continue;
    faults.push({
      subject: `version_labels.${label}`,
      text: 'expected a label of 1 to 64 letters, digits, "_" or "-", no number',
    });
  }
  const entity = yaml.features?.entity;
  if (entity !== undefined && !yaml.input.some((input) => input.name === entity && input.datatype === 'BYTES')) {
    faults.push({ subject: 'features.entity', text: `expected an input of type TYPE_STRING, got "${entity}"` });
  }
  if (yaml.backend === 'simulated' && yaml.input.length !== yaml.output.length) {
    faults.push({
      subject: 'output',
      text: `expected as many outputs as inputs (${yaml.input.length}) of a simulated model, got ${yaml.output.length}`,
    });
  }
  return faults;
}

function toDeclaration(yaml: ModelYaml, folder: string, labelList: string[]): ModelDeclaration {
  const { defaultMs: defaultDeadlineMs = DEFAULT_DEADLINE_MS, longestMs } = declaredTimeouts(yaml);
  const groups = yaml.instance_group ?? [];
  return {
    name: folder,
    backend: yaml.backend,
    ...(yaml.max_batch_size !== undefined && { maxBatchSize: yaml.max_batch_size }),
    inputs: yaml.input,
    outputs: yaml.output,
    instances: groups.reduce((sum, group) => sum + group.count, 0),
    // A wait of its own must not hold up the models of a shared executor.
    ownExecutor: yaml.backend === 'simulated' || yaml.parameters['own_executor'] === true,
    versionPolicy: toVersionPolicy(yaml.version_policy),
    ...(yaml.version_labels && { versionLabels: textsOf(yaml.version_labels) }),
    defaultDeadlineMs,
    maxDeadlineMs: yaml.max_deadline_ms ?? Math.max(DEFAULT_MAX_DEADLINE_MS, longestMs),
    runLimitMs: yaml.run_limit_ms ?? 0,
    ...(yaml.cost && { costRule: yaml.cost }),
    ...(yaml.max_batch_cost !== undefined && { maxBatchCost: yaml.max_batch_cost }),
    maxQueueDelayMs: queueDelayMs(yaml),
    queueRules: toQueueRules(yaml),
    ...toVariants(yaml),
    ...(yaml.features && { features: yaml.features }),
    ...(yaml.preprocess && { preprocess: yaml.preprocess }),
    ...(yaml.postprocess && { postprocess: { ...yaml.postprocess, labels: labelList } }),
    ...(yaml.response_cache?.enable === true && { responseCache: { ttlMs: yaml.response_cache.ttl_seconds * 1_000 } }),
    warmUps: yaml.model_warmup.map(({ name: warmUpName, batch_size, inputs }) => ({
      name: warmUpName,
      rows: batch_size,
      inputs,
    })),
    parameters: yaml.parameters,
  };
}

const textsOf = (labels: Record<string, number>): Record<string, string> =>
  Object.fromEntries(Object.entries(labels).map(([label, version]) => [label, String(version)]));

function toVersionPolicy(policy: ModelYaml['version_policy']): VersionPolicy {
  if (policy === undefined) return { kind: 'latest', count: 1 };
  if ('latest' in policy) return { kind: 'latest', count: policy.latest.num_versions };
  if ('specific' in policy) return { kind: 'specific', versions: policy.specific.versions.map(String) };
  return { kind: 'all' };
}
