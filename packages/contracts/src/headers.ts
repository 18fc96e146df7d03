/** Header names at the doors and on NATS: always lower case, always from here. */
export const HEADERS = {
  requestId: 'x-request-id',
  traceparent: 'traceparent',
  tracestate: 'tracestate',
  trafficClass: 'spillway-class',
  timeoutMs: 'spillway-timeout-ms',
  accept: 'spillway-accept',
  receipt: 'spillway-receipt',
  modelVersion: 'spillway-model-version',
  variant: 'spillway-variant',
  rung: 'spillway-rung',
  queueMs: 'spillway-queue-ms',
  runMs: 'spillway-run-ms',
  batchId: 'spillway-batch-id',
  batchSize: 'spillway-batch-size',
  closedBy: 'spillway-closed-by',
  cache: 'spillway-cache',
  worker: 'spillway-worker',
  degraded: 'spillway-degraded',
  attempts: 'spillway-attempts',
  traceId: 'spillway-trace-id',
  error: 'spillway-error',
  reason: 'spillway-reason',
  retryAfterMs: 'retry-after-ms',
  idempotencyKey: 'idempotency-key',
  limitRequests: 'x-ratelimit-limit-requests',
  remainingRequests: 'x-ratelimit-remaining-requests',
  resetRequests: 'x-ratelimit-reset-requests',
  /** Ours: a quota in ms of a model instance. */
  limitCost: 'x-ratelimit-limit-cost',
  remainingCost: 'x-ratelimit-remaining-cost',
  resetCost: 'x-ratelimit-reset-cost',
  job: 'spillway-job',
  /** Of a job in its stream: SHA-256 (hex) of what was asked. */
  digest: 'spillway-digest',
  originSubject: 'spillway-origin-subject',
  originSeq: 'spillway-origin-seq',
  deliveries: 'spillway-deliveries',
  /** Of an event: where its result is published once more. */
  replyTo: 'spillway-reply-to',
  /** Of a dead letter: what its payload is, `event` or `job`; `cut` and `none` cannot be replayed. */
  letter: 'spillway-letter',
  /** Of an event or job that was made from a dead letter: the place of that. */
  replay: 'spillway-replay',
  /** OIP's binary tensors: bytes of the JSON part. */
  inferenceHeaderLength: 'inference-header-content-length',
} as const;

/** JetStream's own headers keep their case. */
export const NATS_HEADERS = {
  msgId: 'Nats-Msg-Id',
  serviceError: 'Nats-Service-Error',
  serviceErrorCode: 'Nats-Service-Error-Code',
} as const;
