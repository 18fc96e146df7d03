import { type Codec, codecOf } from '@spillway/contracts/codec';
import type { Job } from '@spillway/contracts/messages';
import { meshRoot } from '@spillway/contracts/protos';

/** Types of `protos/spillway/v1/executor.proto`, which only this service reads. */
export type BatchHead = {
  batchId: string;
  model: string;
  version: string;
  variant: string;
  closedBy: string;
  rows: number;
  traceparent: string;
  trafficClass: string;
};
export type BatcherMessageHead = { batch?: BatchHead | null; drain?: Record<string, never> | null };
export type RunItem = {
  seq: number;
  replyTo: number;
  rows: number;
  budgetMs: number;
  queueMs: number;
  tensors: Uint8Array;
  job?: Job | null;
};
export type RunBatch = {
  batchId: string;
  model: string;
  version: string;
  variant: string;
  closedBy: string;
  rows: number;
  replyTo: string[];
  items: RunItem[];
};
export type RunMessage = { batch?: RunBatch | null };
export type LoadModel = {
  model: string;
  version: string;
  worker: string;
  file: string;
  declaration: string;
  providers: string[];
  intraOpThreads: number;
  maxFileBytes: number;
};
export type Warmed = { rows: number; runMs: number };
export type LoadedVariant = { variant: string; provider: string; warmed: Warmed[] };
export type LoadedModel = {
  model: string;
  version: string;
  error: string;
  graph: string;
  provider: string;
  warmed: Warmed[];
  warning: string;
  loadMs: number;
  variants: LoadedVariant[];
  memoryBytes: number;
};
/** The answer to a load that its executor cannot give, or has not finished. */
export const loadAnswer = ({ model, version }: Pick<LoadModel, 'model' | 'version'>, error = ''): LoadedModel => ({
  model,
  version,
  error,
  graph: '',
  provider: '',
  warmed: [],
  warning: '',
  loadMs: 0,
  variants: [],
  memoryBytes: 0,
});

export type Reply = { subject: string; frame: Uint8Array };
export type JobResult = {
  job: Job;
  payload: Uint8Array;
  errorCode: string;
  errorMessage: string;
  errorReason: string;
  queueMs: number;
};
export type BatchResult = {
  batchId: string;
  runMs: number;
  runs: number;
  failed: number;
  replies: Reply[];
  jobs: JobResult[];
  fault: string;
};

meshRoot.loadSync('spillway/v1/executor.proto');
const codec = <T>(name: string): Codec<T> => codecOf<T>(meshRoot.lookupType(`spillway.v1.${name}`));

export const batcherMessageHeadCodec = codec<BatcherMessageHead>('BatcherMessageHead');
export const runMessageCodec = codec<RunMessage>('RunMessage');
export const loadModelCodec = codec<LoadModel>('LoadModel');
export const loadedModelCodec = codec<LoadedModel>('LoadedModel');
export const batchResultCodec = codec<BatchResult>('BatchResult');
