import type { DataTypeName } from './tensor.ts';

/** A NATS KV bucket as data. `ttlMs` 0: entries stay. */
export type BucketSpec = { name: string; storage: 'memory' | 'file'; ttlMs: number };

/** Leases: one entry for each live instance, written again every `LEASE_REFRESH_MS`. */
export const REGISTRY: BucketSpec = { name: 'spillway_registry', storage: 'memory', ttlMs: 3_000 };
/** Catalogue: one entry for each model, written by the workers that serve it. */
export const MODELS: BucketSpec = { name: 'spillway_models', storage: 'file', ttlMs: 0 };

export const BUCKETS: readonly BucketSpec[] = [REGISTRY, MODELS];
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
};

/** A tensor of a model as a client sees it. `dims` has no batch dimension; -1 is variable. */
export type TensorSpec = { name: string; datatype: DataTypeName; dims: number[] };

/** Value of an entry of `spillway_models`; its key is the model. */
export type ModelRecord = {
  model: string;
  versions: string[]; // that can serve; ascending numbers
  platform: string; // onnxruntime_onnx, simulated
  backend: string;
  maxBatchSize: number; // rows; 0: the model does not batch
  /** Sum of the costs (`costRule`) in one batch. Absent: only rows count. */
  maxBatchCost?: number;
  /** Longest wait for companions while an instance is free. Absent or 0: a free instance takes what is there. */
  maxQueueDelayMs?: number;
  inputs: TensorSpec[]; // what a client sends
  outputs: TensorSpec[];
  /** Joined from feature views before the model runs: entity ids come in `entity`, the rows go to the graph's own inputs. */
  features?: { entity: string; tensors: { view: string; input: string }[] };
  responseCache?: { ttlMs: number };
  defaultDeadlineMs: number;
  maxDeadlineMs: number;
  runLimitMs: number;
  /** Cost of a request: its rows, or the UTF-8 bytes of its BYTES inputs / 4. */
  costRule: 'rows' | 'bytes/4';
  provider: string; // cpu, cuda, …: what really runs
};
