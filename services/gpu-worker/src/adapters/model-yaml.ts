import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ConfigError, type Fault } from '@spillway/config/config-error';
import { readYamlFile } from '@spillway/config/yaml-file';
import { NAME_PATTERN } from '@spillway/contracts/names';
import type { DataTypeName } from '@spillway/contracts/tensor';
import { z } from 'zod';
import {
  DEFAULT_DEADLINE_MS,
  DEFAULT_MAX_DEADLINE_MS,
  type ModelDeclaration,
  type VersionPolicy,
} from '../core/model-declaration.ts';

/*
 * model.yaml: field names of Triton's config.pbtxt where it has one, and Spillway's own (backend: simulated, run_limit_ms,
 * max_deadline_ms, cost, max_batch_cost, features, preprocess, postprocess). A field that is not known is a fault: usually a misspelling.
 */

const MAX_BATCH_SIZE = 4_096;
const MAX_INSTANCES = 64;
const MAX_HASH_BUCKETS = 1 << 24;
const MAX_IDS = 65_536;
const US_PER_MS = 1_000;

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
const name = z.string().regex(NAME_PATTERN, 'expected 1 to 64 letters, digits, "_" or "-"');
/** Of a graph: anything its maker chose. */
const tensorName = z.string().min(1).max(256);
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
const range = z.tuple([z.int().min(0).max(64), z.int().min(0).max(64)]);

const instanceGroup = z.strictObject({
  name: z.string().optional(),
  count: z.int().min(1).max(MAX_INSTANCES).default(1),
  kind: z.enum(['KIND_AUTO', 'KIND_CPU', 'KIND_GPU', 'KIND_MODEL']).default('KIND_AUTO'),
  gpus: z.array(z.int().min(0)).optional(),
});

const queuePolicy = z.strictObject({
  default_timeout_microseconds: z.int().min(1).max(3_600_000_000).optional(),
  allow_timeout_override: z.boolean().optional(), // always honoured, up to max_deadline_ms
});

const batching = z.strictObject({
  max_queue_delay_microseconds: z.int().min(0).max(60_000_000).optional(),
  preferred_batch_size: z.array(z.int().min(1)).optional(),
  default_queue_policy: queuePolicy.optional(),
});

const versionPolicy = z.union([
  z.strictObject({ latest: z.strictObject({ num_versions: z.int().min(1).default(1) }) }),
  z.strictObject({ all: z.strictObject({}) }),
  z.strictObject({ specific: z.strictObject({ versions: z.array(z.int().min(1)).min(1) }) }),
]);

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

const preprocess = z
  .strictObject({
    kind: z.literal('hashed_ngrams'),
    input: tensorName,
    output: tensorName,
    buckets: z.int().min(1).max(MAX_HASH_BUCKETS),
    max_ids: z.int().min(1).max(MAX_IDS),
    word_ngrams: range,
    char_ngrams: range,
    lowercase: z.boolean(),
    pad_to: z.enum(['max_ids', 'longest']).optional(),
  })
  .transform(({ kind, input, output, buckets, max_ids, word_ngrams, char_ngrams, lowercase, pad_to }) => ({
    kind,
    input,
    output,
    spec: {
      buckets,
      maxIds: max_ids,
      wordNgrams: word_ngrams,
      charNgrams: char_ngrams,
      lowercase,
      ...(pad_to && { padTo: pad_to }),
    },
  }));

const labels = z.array(z.string().max(256)).min(1).max(100_000);
const postprocess = z.strictObject({
  kind: z.literal('label'),
  scores: tensorName,
  output: tensorName,
  /** The labels themselves, or a JSON file beside model.yaml that holds them. */
  labels: z.union([
    labels,
    z.string().regex(/^[A-Za-z0-9_-]+\.json$/, 'expected a list, or the name of a .json file beside it'),
  ]),
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
  dynamic_batching: batching.optional(),
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
  parameters: z.record(z.string().max(128), z.union([z.string(), z.number(), z.boolean()])).default({}),
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
  return toDeclaration(yaml, model, labelsOf(yaml, file, folder));
}

function crossChecks(yaml: ModelYaml, folder: string): Fault[] {
  const faults: Fault[] = [];
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
  const entity = yaml.features?.entity;
  if (entity !== undefined && !yaml.input.some((input) => input.name === entity && input.datatype === 'BYTES')) {
    faults.push({ subject: 'features.entity', text: `expected an input of type TYPE_STRING, got "${entity}"` });
  }
  const deadlineUs = yaml.dynamic_batching?.default_queue_policy?.default_timeout_microseconds;
  if (deadlineUs !== undefined && yaml.max_deadline_ms !== undefined && deadlineUs / US_PER_MS > yaml.max_deadline_ms) {
    faults.push({
      subject: 'max_deadline_ms',
      text: `expected at least the default deadline of ${deadlineUs / US_PER_MS} ms, got ${yaml.max_deadline_ms}`,
    });
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
  const deadlineUs = yaml.dynamic_batching?.default_queue_policy?.default_timeout_microseconds;
  const defaultDeadlineMs = deadlineUs === undefined ? DEFAULT_DEADLINE_MS : deadlineUs / US_PER_MS;
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
    defaultDeadlineMs,
    maxDeadlineMs: yaml.max_deadline_ms ?? Math.max(DEFAULT_MAX_DEADLINE_MS, defaultDeadlineMs),
    runLimitMs: yaml.run_limit_ms ?? 0,
    ...(yaml.cost && { costRule: yaml.cost }),
    ...(yaml.max_batch_cost !== undefined && { maxBatchCost: yaml.max_batch_cost }),
    maxQueueDelayMs: (yaml.dynamic_batching?.max_queue_delay_microseconds ?? 0) / US_PER_MS,
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

function toVersionPolicy(policy: ModelYaml['version_policy']): VersionPolicy {
  if (policy === undefined) return { kind: 'latest', count: 1 };
  if ('latest' in policy) return { kind: 'latest', count: policy.latest.num_versions };
  if ('specific' in policy) return { kind: 'specific', versions: policy.specific.versions.map(String) };
  return { kind: 'all' };
}

function labelsOf({ postprocess: wanted }: ModelYaml, file: string, folder: string): string[] {
  if (wanted === undefined) return [];
  if (typeof wanted.labels !== 'string') return wanted.labels;
  const fault = (text: string, cause?: unknown) =>
    new ConfigError(file, [{ subject: 'postprocess.labels', text }], { cause });
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(join(folder, wanted.labels), 'utf8'));
  } catch (cause) {
    throw fault(`expected a JSON file "${wanted.labels}" beside it that can be read`, cause);
  }
  const checked = labels.safeParse(content);
  if (!checked.success) throw fault(`expected a list of texts in "${wanted.labels}"`);
  return checked.data;
}
