import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { commonFields } from '@spillway/config/common';
import { defineConfig } from '@spillway/config/define-config';
import { env } from '@spillway/config/env';

const MIB = 1024 * 1024;

/** Where the README with the table of variables stands. */
export const SERVICE_DIR = fileURLToPath(new URL('..', import.meta.url));

export const PROVIDERS = ['cpu', 'cuda', 'tensorrt', 'webgpu'] as const;
export type Provider = (typeof PROVIDERS)[number];

export const MODEL_CONTROL_MODES = ['none', 'explicit'] as const;

/** Everything the gpu-worker reads from its environment. What belongs to a model stands in its `model.yaml`. */
export const gpuWorkerConfig = defineConfig({
  service: 'gpu-worker',
  prefix: 'GPU_WORKER_',
  fields: {
    ...commonFields('gpu-worker'),
    host: env.string('GPU_WORKER_HOST', {
      default: '127.0.0.1',
      pattern: /^[A-Za-z0-9.:_-]+$/,
      doc: 'Address to listen on. Nobody but probes and scrapers dials a worker: it dials the batchers.',
    }),
    grpcPort: env.port('GPU_WORKER_GRPC_PORT', {
      default: 8050,
      doc: 'gRPC: health only. 0 takes a free one.',
    }),
    healthPort: env.port('GPU_WORKER_HEALTH_PORT', {
      default: 8051,
      doc: 'HTTP: `/livez`, `/readyz`, `/metrics`. 0 takes a free one.',
    }),
    models: {
      ...env.string('GPU_WORKER_MODELS', {
        doc: 'Folder of the models: `<name>/<version>/model.onnx`, with or without `<name>/model.yaml`. Read at start, and again for a model that is loaded on command.',
      }),
      fallback: {
        make: () => fileURLToPath(new URL('../../../models', import.meta.url)),
        shown: 'models, in the repository',
      },
    },
    modelControlMode: env.oneOf('GPU_WORKER_MODEL_CONTROL_MODE', MODEL_CONTROL_MODES, {
      default: 'none',
      doc: '`explicit`: models are loaded and unloaded on command of a key with the scope `admin`. `none`: the folder counts as it was at the start. The same for all workers of a mesh.',
    }),
    executors: env.int('GPU_WORKER_EXECUTORS', {
      default: 0,
      min: 0,
      max: 256,
      doc: 'Executor processes that share the static models; each runs one batch at a time. 0: processors − 1, at least 1. Too few leave processors idle; too many run each other down and cost 100 MB each.',
    }),
    intraOpThreads: env.int('GPU_WORKER_INTRA_OP_THREADS', {
      default: 1,
      min: 1,
      max: 256,
      doc: 'Threads of one run. More than 1 helps large models and costs throughput of small ones; executors × threads should stay below the processors.',
    }),
    provider: env.oneOf('GPU_WORKER_PROVIDER', PROVIDERS, {
      default: 'cpu',
      doc: 'Execution provider of ONNX Runtime. `cuda` and `tensorrt` need their libraries, installed beside onnxruntime-node.',
    }),
    providerFallback: env.bool('GPU_WORKER_PROVIDER_FALLBACK', {
      default: false,
      doc: 'false: a provider that does not start fails the load of its models. true: they run on the CPU, which log, metric and metadata say.',
    }),
    runLimitMs: env.int('GPU_WORKER_RUN_LIMIT_MS', {
      default: 2_000,
      min: 10,
      max: 3_600_000,
      doc: 'Longest run of a batch, unless model.yaml says otherwise; then its executor is killed and replaced. Too short kills slow models; long lets a hung one block its slot.',
    }),
    loadLimitMs: env.int('GPU_WORKER_LOAD_LIMIT_MS', {
      default: 30_000,
      min: 100,
      max: 3_600_000,
      doc: 'Longest load of one model, its warm-up included; then it is given up. Too short refuses large models; long delays the others.',
    }),
    maxModelBytes: env.int('GPU_WORKER_MAX_MODEL_BYTES', {
      default: 512 * MIB,
      min: 1_024,
      max: 2_000 * MIB,
      doc: 'Largest model file. It is held in memory while it is loaded, in each executor.',
    }),
  },
});

export type GpuWorkerConfig = ReturnType<typeof gpuWorkerConfig.load>;

/** One processor stays free for the process that feeds the executors. */
export const executorsOf = ({ executors }: Pick<GpuWorkerConfig, 'executors'>): number =>
  executors > 0 ? executors : Math.max(1, availableParallelism() - 1);

/** Variables that an executor gets: no address and no secret of the worker's. */
const EXECUTOR_VARIABLES =
  /^(PATH|HOME|TMPDIR|LANG|LC_.*|NODE_COMPILE_CACHE|LD_LIBRARY_PATH|MALLOC_.*|OMP_.*|CUDA_.*|NVIDIA_.*|ORT_.*)$/;

export const executorEnvironment = (environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => EXECUTOR_VARIABLES.test(name)));

/** Tried in this order. */
export const providersOf = ({
  provider,
  providerFallback,
}: Pick<GpuWorkerConfig, 'provider' | 'providerFallback'>): Provider[] =>
  providerFallback && provider !== 'cpu' ? [provider, 'cpu'] : [provider];
