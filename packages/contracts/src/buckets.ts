import type { TrafficClass } from './classes.ts';
import type { DataTypeName } from './tensor.ts';

/** A NATS KV bucket as data. `ttlMs` 0: entries stay. `maxBytes`: a full one refuses what is new. */
export type BucketSpec = { name: string; storage: 'memory' | 'file'; ttlMs: number; maxBytes?: number };

/** Leases: one entry for each live instance, written again every `LEASE_REFRESH_MS`. */
export const REGISTRY: BucketSpec = { name: 'spillway_registry', storage: 'memory', ttlMs: 3_000 };
/** Catalogue: one entry for each model, written by the workers that serve it. */
export const MODELS: BucketSpec = { name: 'spillway_models', storage: 'file', ttlMs: 0 };
/** API keys, by id: hashes only. */
export const KEYS: BucketSpec = { name: 'spillway_keys', storage: 'file', ttlMs: 0 };
/** Levers that people pulled, by id. An entry past its `expiresAt` has no effect, whoever removes it. */
export const LEVERS: BucketSpec = { name: 'spillway_levers', storage: 'file', ttlMs: 0 };

/** Jobs that callers at the doors were given a ticket for, by `<tenant>.<job>`. Kept for longer than any of them may wait. */
export const JOBS: BucketSpec = { name: 'spillway_jobs', storage: 'file', ttlMs: 8 * 24 * 60 * 60 * 1_000 };

/** The last command to load or unload each model: workers follow it, also those that start later. */
export const MODEL_COMMANDS: BucketSpec = { name: 'spillway_model_commands', storage: 'file', ttlMs: 0 };

/** Answers of requests that had an idempotency key, by `<tenant>.<hash of model and key>`: some hundred thousand small ones. */
export const IDEMPOTENCY: BucketSpec = {
  name: 'spillway_idempotency',
  storage: 'file',
  ttlMs: 60 * 60 * 1_000,
  maxBytes: 512 * 1024 * 1024,
};

export const BUCKETS: readonly BucketSpec[] = [REGISTRY, MODELS, KEYS, LEVERS, JOBS, MODEL_COMMANDS, IDEMPOTENCY];
export const LEASE_REFRESH_MS = 1_000;

export type ServiceName = 'gateway' | 'feature-service' | 'cache' | 'batcher' | 'gpu-worker';

/** Value of an entry of `spillway_registry`; its key is the instance. */
export type Lease = {
  service: ServiceName;
  instance: string;
  /** host:port of the service's gRPC server; empty if it has none. */
  address: string;
  state: 'ready' | 'draining';
  /** A gpu-worker's models that are loaded and warm. */
  models?: { model: string; versions: string[] }[];
  /** Of a gpu-worker that follows commands: what became of those it is done with. Absent: it follows none. */
  commands?: CommandOutcome[];
};

/** Value of an entry of `spillway_model_commands`; its key is the model. */
export type ModelCommand = {
  /** Workers name it when they are done. */
  id: string;
  model: string;
  wanted: 'loaded' | 'unloaded';
  /** Epoch ms. */
  createdAt: number;
  /** Tenant and id of the key. */
  by: string;
};

/** `error` absent: the worker serves what the command wants, or serves the model no more. `missing`: there is no such folder. */
export type CommandOutcome = { id: string; model: string; error?: { text: string; missing: boolean } };

/** Value of an entry of `spillway_keys`; its key is the id. Never the secret, only its SHA-256 (hex). Times in epoch ms. */
export type KeyRecord = {
  id: string;
  sha256: string;
  tenant: string;
  class: TrafficClass;
  /** See `contracts/keys`; names that this version does not know allow nothing. */
  scopes: string[];
  /** Id of the key that this one was rotated from, at first hand or later: they share one quota. Absent: its own id. */
  family?: string;
  quota?: KeyQuota;
  /** Share of a congested class beside other tenants, > 0. Absent: 1. */
  weight?: number;
  /** What happens beyond the quota. Absent: refused. */
  overQuota?: 'refuse' | 'lower';
  createdAt?: number;
  expiresAt?: number;
};

/** Sustained rates; either may be missing. `costPerSecond` in milliseconds of one model instance (ims). */
export type KeyQuota = { costPerSecond?: number; requestsPerSecond?: number };

/** Value of an entry of `spillway_jobs`: written once, when its stream holds the job. What became of it, the results tell. */
export type JobRecord = {
  job: string;
  tenant: string;
  model: string;
  class: TrafficClass;
  /** Epoch ms. */
  createdAt: number;
  /** Its place in the jobs stream. */
  seq: number;
  /** SHA-256 (hex) of what was asked: the same id with another body is a conflict. */
  digest: string;
  requestId: string;
};

/** Value of an entry of `spillway_idempotency`. Without `answer` the request runs at some gateway, or its answer was not kept. */
export type IdempotencyRecord = {
  /** SHA-256 (hex) of what was asked: the same key with another body is a conflict. */
  digest: string;
  /** Longest that the run may take. */
  budgetMs: number;
  /** It ran, and its answer was too large to keep. */
  unkept?: boolean;
  answer?: KeptAnswer;
};

/** `tensors`: `spillway.v1.Tensors` in base64. */
export type KeptAnswer = { model: string; version: string; variant: string; degraded: string; tensors: string };

/** Value of an entry of `spillway_levers`. Absent members match everything. */
export type Lever = LeverScope & {
  id: string;
  /** Epoch ms. */
  createdAt: number;
  expiresAt: number;
  by: string;
} & (
    | {
        kind: 'brake' /** Requests per second and gateway fleet, or a share 0 to 1 of what is offered. */;
        rate?: number;
        share?: number;
      }
    | { kind: 'degrade'; to: string }
  );
export type LeverScope = { model?: string; class?: TrafficClass; tenant?: string };

/** A tensor of a model as a client sees it. `dims` has no batch dimension; -1 is variable. */
export type TensorSpec = { name: string; datatype: DataTypeName; dims: number[] };

/** Triton's: what becomes of a request that waited for longer than its queue's time; `maxQueueSize` in requests, 0: no bound. */
export type QueuePolicy = { timeoutAction: 'reject' | 'delay'; allowTimeoutOverride: boolean; maxQueueSize: number };

/** Value of an entry of `spillway_models`; its key is the model. */
export type ModelRecord = {
  model: string;
  /** It was unloaded on command: what was accepted before is still run, no further request is accepted. */
  unloaded?: boolean;
  /** Id of the command that loaded it: files under the same version may differ from before. Absent: no command ever did. */
  loadedBy?: string;
  versions: string[]; // that can serve; ascending numbers
  /** Movable names of versions, the number by the label. */
  versionLabels?: Record<string, string>;
  platform: string; // onnxruntime_onnx, simulated
  backend: string;
  maxBatchSize: number; // rows; 0: the model does not batch
  /** Sum of the costs (`costRule`) in one batch. Absent: only rows count. */
  maxBatchCost?: number;
  /** Longest wait for companions while an instance is free. Absent or 0: a free instance takes what is there. */
  maxQueueDelayMs?: number;
  /** Rows of batches that the model runs best with, ascending. */
  preferredBatchSizes?: number[];
  /** Of requests whose class has none of its own in `priorityPolicies`, which is by class. A caller's own deadline always counts. */
  queuePolicy?: QueuePolicy;
  priorityPolicies?: Record<string, QueuePolicy & { defaultTimeoutMs?: number }>;
  /** Upper bounds of a row's cost, ascending: only rows of one bucket run together. Absent: all lengths do. */
  lengthBuckets?: number[];
  /** A new executor's load grows from a fifth to all over this time. Absent: it grows with each batch that ran. */
  slowStartMs?: number;
  /** Measured, 0 to 1, of the full model; the card says of what. */
  quality?: number;
  /** What an instance can run beside the full model, by the name that a route gives. */
  variants?: { name: string; quality?: number }[];
  /** Variants for a request that would wait too long otherwise, lightest last; those below the declared quality floor are left out. */
  degradeTo?: string[];
  /** A caller may refuse a lighter variant. Absent with `degradeTo`: it may. */
  degradeOptOut?: boolean;
  /** Over all gateways: requests of the model that are under way, and requests per second. */
  limits?: { maxInFlight?: number; rate?: number };
  inputs: TensorSpec[]; // what a client sends
  outputs: TensorSpec[];
  /** What the classes of an output are called, by the output's name, in the order of the classes. */
  labels?: Record<string, string[]>;
  /** Joined from feature views before the model runs: entity ids come in `entity`, the rows go to the graph's own inputs. */
  features?: { entity: string; tensors: { view: string; input: string }[] };
  /** `staleMs`: how much longer an answer may be given while the mesh is overloaded. Absent: not at all. */
  responseCache?: { ttlMs: number; staleMs?: number };
  defaultDeadlineMs: number;
  maxDeadlineMs: number;
  runLimitMs: number;
  /** Cost of a request: its rows, or the UTF-8 bytes of its BYTES inputs / 4. */
  costRule: 'rows' | 'bytes/4';
  provider: string; // cpu, cuda, …: what really runs
};
