import { codec } from './codec.ts';

/** Types of the mesh's messages: `protos/spillway/v1` says what each field means. Held to the protos by a test. */
export type Tensor = { name: string; datatype: number; shape: number[]; data: Uint8Array };
export type Tensors = { tensors: Tensor[] };
export type Route = { version: string; variant: string; shapes: string };
export type EventContext = { mode: string; id: string; correlationId: string };
export type Job = {
  tenant: string;
  job: string;
  ackSubject: string;
  originSubject: string;
  traceparent: string;
  originSeq?: number;
  outputs?: string[];
  replyTo?: string;
  event?: EventContext | null;
  degraded?: string;
  requestId?: string;
  trafficClass?: string;
  replay?: number;
  tracestate?: string;
};
export type WorkItem = {
  seq: number;
  requestId: string;
  budgetMs: number;
  rows: number;
  cost: number;
  route: number;
  traceparent: string;
  tensors: Uint8Array;
  tenant: string;
  job?: Job | null;
  losses?: number;
};
export type WorkFrame = {
  gateway: string;
  replyTo: string;
  sentMs: number;
  model: string;
  trafficClass: string;
  routes: Route[];
  items: WorkItem[];
};
export type ReplyItem = {
  seq: number;
  errorCode: string;
  errorMessage: string;
  errorReason: string;
  tensors: Uint8Array;
  queueMs: number;
};
export type ReplyFrame = {
  worker: string;
  batchId: string;
  model: string;
  version: string;
  variant: string;
  batchRows: number;
  runMs: number;
  closedBy: string;
  items: ReplyItem[];
};
export type ServedVariant = { variant: string; runMsOne: number; runMsFull: number };
export type ServedModel = {
  model: string;
  versions: string[];
  maxBatchSize: number;
  slots: number;
  runLimitMs: number;
  runMsOne: number;
  runMsFull: number;
  /** Beside the full model. */
  variants?: ServedVariant[];
  /** Which set of executors of this worker; absent or 0: those it started with. */
  generation?: number;
};
export type Hello = { instance: string; models: ServedModel[] };
export type Credits = { model: string; batches: number };
export type BatchDone = {
  batchId: string;
  model: string;
  rows: number;
  runMs: number;
  errorCode: string;
  notStarted: boolean;
  lost?: boolean;
  errorReason?: string;
};
export type WorkerMessage = {
  hello?: Hello | null;
  credits?: Credits | null;
  done?: BatchDone | null;
  goodbye?: Record<string, never> | null;
};
export type BatchItem = {
  seq: number;
  requestId: string;
  replyTo: number;
  rows: number;
  budgetMs: number;
  queueMs: number;
  traceparent: string;
  tensors: Uint8Array;
  job?: Job | null;
  tenant: string;
};
export type Batch = {
  batchId: string;
  model: string;
  version: string;
  variant: string;
  closedBy: string;
  rows: number;
  replyTo: string[];
  items: BatchItem[];
  traceparent: string;
  trafficClass: string;
};
export type BatcherMessage = { batch?: Batch | null; drain?: Record<string, never> | null };
export type FeatureFetch = { id: number; views: string[]; entities: string[]; budgetMs: number; traceparent: string };
export type FetchRequest = { fetches: FeatureFetch[] };
export type ViewRows = { view: string; fields: number; values: Uint8Array; status: Uint8Array };
export type FeatureRows = { id: number; views: ViewRows[]; errorCode: string; errorMessage: string };
export type FetchResponse = { results: FeatureRows[] };
export type CacheGet = { id: number; key: Uint8Array; traceparent: string; allowStale?: boolean };
export type CachePut = { key: Uint8Array; value: Uint8Array; ttlMs: number; staleMs?: number };
export type CacheRequest = { gets: CacheGet[]; puts: CachePut[] };
export type CacheResult = {
  id: number;
  hit: boolean;
  value: Uint8Array;
  ageMs: number;
  tier: string;
  stale?: boolean;
};
export type CacheResponse = { results: CacheResult[] };
export type Heartbeat = { service: string; instance: string; sentMs: number; state: string };
export type Cancel = { gateway: string; seqs: number[] };
export type RunningJobs = { batcher: string; seqs: number[] };

/** Count and nanoseconds, since the start of a gateway. */
export type Total = { count: number; ns: number };
export type BatchTotal = { rows: number; run: Total };
export type VersionTotals = {
  model: string;
  version: string;
  lastInferenceMs: number;
  rows: number;
  runs: number;
  success: Total;
  fail: Total;
  queue: Total;
  run: Total;
  cacheHit: Total;
  cacheMiss: Total;
  batches: BatchTotal[];
};
export type GatewayStatistics = { gateway: string; versions: VersionTotals[] };

/** Costs in ims (milliseconds of one model instance), rates in ims per ms; lists by rank of the class. */
export type Backlog = { pending: number; pendingAgeMs: number; held: number; rateOut: number };
export type RunTime = { variant: string; baseMs: number; rowMs: number; cv: number };
export type BatcherLoad = {
  backlog: Backlog[];
  capacityRaw: number;
  capacity: number;
  healthy: number;
  suspect: number;
  runTimes: RunTime[];
  operatingRows: number;
  fill: number;
  costPerRow: number;
  hopMs: number;
};
export type ClassRates = { offered: number; admitted: number; refused: number };
export type TenantRate = { tenant: number; rank: number; offered: number };
export type TenantRest = { count: number; offered: number };
export type GatewayLoad = { rates: ClassRates[]; guard: number; tenants: TenantRate[]; rest: TenantRest[] };
export type LoadState = {
  instance: string;
  epoch: number;
  seq: number;
  sentMs: number;
  level: number;
  batcher?: BatcherLoad | null;
  gateway?: GatewayLoad | null;
};

/** `ValueStatus` of features.proto, by number. */
export const VALUE_STATUS = ['present', 'missing', 'stale', 'default'] as const;

export const tensorsCodec = codec<Tensors>('spillway.v1.Tensors');
export const workFrameCodec = codec<WorkFrame>('spillway.v1.WorkFrame');
export const replyFrameCodec = codec<ReplyFrame>('spillway.v1.ReplyFrame');
export const workerMessageCodec = codec<WorkerMessage>('spillway.v1.WorkerMessage');
export const batcherMessageCodec = codec<BatcherMessage>('spillway.v1.BatcherMessage');
export const fetchRequestCodec = codec<FetchRequest>('spillway.v1.FetchRequest');
export const fetchResponseCodec = codec<FetchResponse>('spillway.v1.FetchResponse');
export const cacheRequestCodec = codec<CacheRequest>('spillway.v1.CacheRequest');
export const cacheResponseCodec = codec<CacheResponse>('spillway.v1.CacheResponse');
export const heartbeatCodec = codec<Heartbeat>('spillway.v1.Heartbeat');
export const cancelCodec = codec<Cancel>('spillway.v1.Cancel');
export const runningJobsCodec = codec<RunningJobs>('spillway.v1.RunningJobs');
export const loadStateCodec = codec<LoadState>('spillway.v1.LoadState');
export const gatewayStatisticsCodec = codec<GatewayStatistics>('spillway.v1.GatewayStatistics');

/** The mesh's streams over gRPC: path and messages of each. */
export const DISPATCH_METHOD = {
  path: '/spillway.v1.Dispatch/Work',
  request: workerMessageCodec,
  response: batcherMessageCodec,
};
export const FEATURES_METHOD = {
  path: '/spillway.v1.Features/Fetch',
  request: fetchRequestCodec,
  response: fetchResponseCodec,
};
export const CACHE_METHOD = {
  path: '/spillway.v1.Cache/Access',
  request: cacheRequestCodec,
  response: cacheResponseCodec,
};
