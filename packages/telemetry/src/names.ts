/** Names of spans: few, constant, the same words as in the design. What varies is an attribute. */
export const SPANS = {
  /** Gateway: from the request's first byte to the answer's last. The root of a trace, unless the caller had one. */
  request: 'request',
  /** Gateway: the call as the caller sees it; cache: the look-up itself, below it. */
  cacheGet: 'cache.get',
  /** Gateway: the call; feature-service: one below it for each source. */
  featuresFetch: 'features.fetch',
  /** Gateway: publish of the frame until JetStream acknowledged it. */
  enqueue: 'enqueue',
  /** Batcher: from the frame's arrival to the batch's departure. */
  queueWait: 'queue.wait',
  /** gpu-worker: the request's share of a batch run; same times as the run, linked to the batch. */
  batchExecute: 'batch.execute',
  /** gpu-worker: publish of the reply. */
  reply: 'reply',
} as const;

/** A batch is a trace of its own, linked to its requests: it has many parents, and a span has one. */
export const batchSpanName = (model: string): string => `batch ${model}`;

/** Names of attributes on spans and resources. OpenTelemetry's conventions where one exists, else `spillway.`. */
export const ATTRIBUTES = {
  serviceName: 'service.name',
  serviceInstance: 'service.instance.id',
  processId: 'process.pid',
  /** The catalogue's code of a failed span, such as `DEADLINE_EXCEEDED`. */
  errorType: 'error.type',
  rpcMethod: 'rpc.method',
  messagingDestination: 'messaging.destination.name',
  /** The id from door to model to log. */
  requestId: 'spillway.request.id',
  tenant: 'spillway.tenant',
  trafficClass: 'spillway.class',
  model: 'spillway.model',
  version: 'spillway.version',
  variant: 'spillway.variant',
  /** The rung of the overload ladder that the request ended on. */
  rung: 'spillway.rung',
  reason: 'spillway.reason',
  /** http, grpc or events. */
  door: 'spillway.door',
  rows: 'spillway.rows',
  cache: 'spillway.cache',
  source: 'spillway.source',
  batchId: 'spillway.batch.id',
  /** Rows. */
  batchSize: 'spillway.batch.size',
  /** The rule that closed the batch: size, cost, idle, delay, deadline, shape, drain. */
  batchClosedBy: 'spillway.batch.closed_by',
  /** ms */
  queueMs: 'spillway.queue.ms',
  /** ms */
  runMs: 'spillway.run.ms',
} as const;

/** `s` durations, `rows` and `requests` amounts, `1` ratios. */
export type MetricUnit = 's' | 'rows' | 'requests' | 'jobs' | 'lookups' | 'entities' | '1';
export type MetricKind = 'counter' | 'histogram' | 'gauge';

/** What one metric is. `labels` are the only ones it may carry; `buckets` are upper bounds in `unit`. */
export type MetricSpec<L extends string = string> = {
  readonly kind: MetricKind;
  /** Name in OpenTelemetry's manner. */
  readonly otelName: string;
  /** Name in Prometheus' manner, derived from it: unit in the name, counters end in `_total`. */
  readonly name: string;
  readonly unit: MetricUnit;
  readonly help: string;
  readonly labels: readonly L[];
  readonly buckets: readonly number[];
};

const UNIT_SUFFIX: Record<MetricUnit, string> = {
  s: '_seconds',
  rows: '_rows',
  requests: '',
  jobs: '',
  lookups: '',
  entities: '_entities',
  '1': '',
};

/** `spillway.queue.wait` in seconds becomes `spillway_queue_wait_seconds`; a unit already in the name is not repeated. */
export function prometheusName(otelName: string, unit: MetricUnit, kind: MetricKind): string {
  const base = otelName.replaceAll('.', '_');
  const suffix = base.endsWith(UNIT_SUFFIX[unit]) ? '' : UNIT_SUFFIX[unit];
  return base + suffix + (kind === 'counter' ? '_total' : '');
}

/** Seconds; from a cache hit to the longest deadline, about three a decade. */
export const LATENCY_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30] as const;
/** Rows; the batch sizes that are warmed. */
export const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256] as const;

type Shape<L extends string> = {
  unit: MetricUnit;
  help: string;
  labels?: readonly L[];
  buckets?: readonly number[];
};

function metric<L extends string = never>(kind: MetricKind, otelName: string, shape: Shape<L>): MetricSpec<L> {
  const { unit, help, labels = [], buckets = [] } = shape;
  return { kind, otelName, name: prometheusName(otelName, unit, kind), unit, help, labels, buckets };
}

/** Every metric of the mesh. Ids are never labels; unknown label values become `other`. */
export const METRICS = {
  requestDuration: metric('histogram', 'spillway.request.duration', {
    unit: 's',
    help: 'Time from the request at the door to its answer, by how it ended',
    labels: ['door', 'class', 'model', 'rung', 'code'],
    buckets: LATENCY_BUCKETS,
  }),
  queueWait: metric('histogram', 'spillway.queue.wait', {
    unit: 's',
    help: 'Time a request waited in stream and batcher before its batch left',
    labels: ['class', 'model'],
    buckets: LATENCY_BUCKETS,
  }),
  queueRows: metric('gauge', 'spillway.queue.rows', {
    unit: 'rows',
    help: 'Rows held by this batcher',
    labels: ['class', 'model'],
  }),
  batchSize: metric('histogram', 'spillway.batch.size', {
    unit: 'rows',
    help: 'Rows of a batch, by the rule that closed it',
    labels: ['model', 'closed_by'],
    buckets: BATCH_BUCKETS,
  }),
  rowsStartedLate: metric('counter', 'spillway.late.started.rows', {
    unit: 'rows',
    help: 'Rows that were sent to a worker after their deadline: never',
    labels: ['model'],
  }),
  rowsFinishedLate: metric('counter', 'spillway.late.finished.rows', {
    unit: 'rows',
    help: 'Rows whose run ended after their deadline: they ran for nobody',
    labels: ['model'],
  }),
  batchRun: metric('histogram', 'spillway.batch.run', {
    unit: 's',
    help: 'Time a batch ran in the model',
    labels: ['model', 'variant'],
    buckets: LATENCY_BUCKETS,
  }),
  admissionRefused: metric('counter', 'spillway.admission.refused', {
    unit: 'requests',
    help: 'Requests refused before they ran, by the knob that fired',
    labels: ['class', 'model', 'reason'],
  }),
  hintError: metric('histogram', 'spillway.hint.error', {
    unit: 's',
    help: 'Distance between a Retry-After hint and the time capacity really came back',
    labels: ['class'],
    buckets: LATENCY_BUCKETS,
  }),
  cacheLookups: metric('counter', 'spillway.cache.lookups', {
    unit: 'lookups',
    help: 'Look-ups in the result cache, by tier and outcome',
    labels: ['model', 'tier', 'outcome'],
  }),
  featuresFetch: metric('histogram', 'spillway.features.fetch', {
    unit: 's',
    help: 'Time of one round trip to a feature source, by outcome',
    labels: ['view', 'source', 'outcome'],
    buckets: LATENCY_BUCKETS,
  }),
  jobsPending: metric('gauge', 'spillway.jobs.pending', {
    unit: 'jobs',
    help: 'Durable jobs accepted and without a result',
    labels: ['class', 'model'],
  }),
  loopLag: metric('histogram', 'spillway.loop.lag', {
    unit: 's',
    help: 'Delay of the event loop beyond what was asked of it',
    buckets: LATENCY_BUCKETS,
  }),
} as const;
