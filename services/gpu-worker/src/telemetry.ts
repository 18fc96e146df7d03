import type { Batch } from '@spillway/contracts/messages';
import { recordBatchExecute } from '@spillway/telemetry/batch-links';
import type { Logger } from '@spillway/telemetry/logger';
import { counterOf, gaugeOf, histogramOf, labelAllowlist, type Metrics } from '@spillway/telemetry/metrics';
import {
  ATTRIBUTES,
  METRICS,
  type MetricKind,
  type MetricSpec,
  type MetricUnit,
  prometheusName,
  SPANS,
} from '@spillway/telemetry/names';
import { recordSpan, type SpanError } from '@spillway/telemetry/spans';
import type { PoolBatch } from './adapters/executor-slot.ts';
import type { JobOutcome } from './adapters/result-store.ts';
import type { Loss } from './core/executor-loss.ts';
import type { BatchResult, LoadedModel } from './core/executor-messages.ts';

const own = <L extends string>(
  kind: MetricKind,
  otelName: string,
  unit: MetricUnit,
  help: string,
  labels: readonly L[],
): MetricSpec<L> => ({
  kind,
  otelName,
  name: prometheusName(otelName, unit, kind),
  unit,
  help,
  labels,
  buckets: [],
});

/** Metrics that only this service has. */
export const WORKER_METRICS = {
  executorLosses: own(
    'counter',
    'spillway.executor.losses',
    '1',
    'Executors that were killed or died and were replaced',
    ['reason'],
  ),
  executors: own('gauge', 'spillway.executors', '1', 'Executor processes that take batches', []),
  batchOutcomes: own('counter', 'spillway.batches', '1', 'Batches, by how they ended', ['model', 'outcome']),
  requestsFailed: own(
    'counter',
    'spillway.batch.requests.failed',
    'requests',
    'Requests that were answered with an error',
    ['model'],
  ),
  modelLoads: own(
    'counter',
    'spillway.model.loads',
    '1',
    'Loads of model versions, by provider that runs them and outcome',
    ['model', 'provider', 'outcome'],
  ),
  repliesLost: own(
    'counter',
    'spillway.replies.lost',
    '1',
    'Reply frames that nobody got: the bus was away for too long, or closed',
    [],
  ),
  jobs: own('counter', 'spillway.jobs.ended', 'jobs', 'Durable jobs that ran here, by outcome', ['outcome']),
} as const;

/** `model.run`: the part of `batch.execute` in which the executor had the batch. */
const MODEL_RUN = 'model.run';

export type WorkerTelemetry = ReturnType<typeof createWorkerTelemetry>;

/** @param models, variants Allowlists of label values; they may grow. @param liveExecutors For the gauge. */
export function createWorkerTelemetry(options: {
  metrics: Metrics;
  log: Logger;
  models: ReadonlySet<string>;
  variants: ReadonlySet<string>;
  liveExecutors: () => number;
}) {
  const { metrics, log, models, variants, liveExecutors } = options;
  const label = labelAllowlist(models);
  const variantLabel = labelAllowlist({ has: (variant: string) => variant === '' || variants.has(variant) });
  const size = histogramOf(metrics, METRICS.batchSize);
  const run = histogramOf(metrics, METRICS.batchRun);
  const outcomes = counterOf(metrics, WORKER_METRICS.batchOutcomes);
  const failed = counterOf(metrics, WORKER_METRICS.requestsFailed);
  const losses = counterOf(metrics, WORKER_METRICS.executorLosses);
  const loads = counterOf(metrics, WORKER_METRICS.modelLoads);
  const repliesLost = counterOf(metrics, WORKER_METRICS.repliesLost);
  const jobs = counterOf(metrics, WORKER_METRICS.jobs);
  gaugeOf(metrics, WORKER_METRICS.executors, (gauge) => gauge.set({}, liveExecutors()));

  return {
    ran({ head }: PoolBatch, result: BatchResult): void {
      const model = label(head.model);
      size.observe({ model, closed_by: head.closedBy }, head.rows);
      run.observe({ model, variant: variantLabel(head.variant) }, result.runMs / 1_000);
      outcomes.inc({ model, outcome: 'ran' });
      if (result.failed > 0) failed.inc({ model }, result.failed);
      if (result.fault !== '')
        log.warn(
          { model: head.model, batch_id: head.batchId, failed: result.failed, runs: result.runs, fault: result.fault },
          'requests failed in the model',
        );
    },
    failed({ head }: PoolBatch, requests: number): void {
      const model = label(head.model);
      outcomes.inc({ model, outcome: 'failed' });
      failed.inc({ model }, requests);
    },
    notStarted({ head }: PoolBatch): void {
      outcomes.inc({ model: label(head.model), outcome: 'not_started' });
    },
    executorLost(loss: Loss): void {
      losses.inc({ reason: loss.reason });
      const { executor, pid, reason, how, note, model, ranMs } = loss;
      log.error(
        { executor, executor_pid: pid, reason, how, note: note.slice(-500), model, ran_ms: Math.round(ranMs) },
        'an executor was lost and is replaced',
      );
    },
    loaded(executor: string, loaded: LoadedModel, wantedProvider: string): void {
      const { model, version, error, provider, warning, loadMs } = loaded;
      const fields = { executor, model, version, provider, load_ms: Math.round(loadMs) };
      if (error !== '') {
        loads.inc({ model: label(model), provider: 'none', outcome: 'failed' });
        log.error({ ...fields, error }, 'a model could not be loaded');
        return;
      }
      const served = { ...fields, memory_bytes: loaded.memoryBytes, ...runTimes(loaded.warmed) };
      const lighter = loaded.variants.map(({ variant, warmed }) => ({ variant, ...runTimes(warmed) }));
      const fellBack = provider !== 'simulated' && provider !== wantedProvider;
      loads.inc({ model: label(model), provider, outcome: fellBack ? 'fell_back' : 'ok' });
      if (warning !== '') log.warn({ ...served, variants: lighter, warning }, 'a model was loaded with a warning');
      else log.info({ ...served, variants: lighter }, 'a model was loaded');
    },
    /** Its declaration or its folder is at fault: no executor was asked. */
    broken(model: string, error: string): void {
      loads.inc({ model: label(model), provider: 'none', outcome: 'failed' });
      log.error({ model, error }, 'a model could not be loaded');
    },
    repliesLost(frames: number): void {
      repliesLost.inc({}, frames);
    },
    jobEnded(outcome: JobOutcome): void {
      jobs.inc({ outcome });
    },
  };
}

const runTimes = (warmed: LoadedModel['warmed']) => ({
  run_ms_one: warmed[0]?.runMs,
  run_ms_full: warmed.at(-1)?.runMs,
});

/** A run that is over, for the traces of its sampled requests. Times in ms of this process's clock. */
export type TracedRun = {
  arrivedMs: number;
  startedMs: number;
  endedMs: number;
  runMs: number;
  pid: number;
  error?: SpanError;
};

/**
 * In the trace of every sampled request of a batch: `batch.execute`, linked to the batch, and in it `model.run`, made by
 * the executor that its attribute names; then `reply`.
 */
export function traceBatch(batch: Batch, run: TracedRun): void {
  const { arrivedMs, startedMs, endedMs, runMs, pid, error } = run;
  const attributes = {
    [ATTRIBUTES.batchId]: batch.batchId,
    [ATTRIBUTES.batchSize]: batch.rows,
    [ATTRIBUTES.rows]: batch.rows,
    [ATTRIBUTES.model]: batch.model,
    [ATTRIBUTES.version]: batch.version,
    ...(batch.variant !== '' && { [ATTRIBUTES.variant]: batch.variant }),
    [ATTRIBUTES.batchClosedBy]: batch.closedBy,
    [ATTRIBUTES.runMs]: runMs,
  };
  const runAttributes = { 'process.executor.pid': pid, [ATTRIBUTES.model]: batch.model };
  for (const { traceparent, requestId } of batch.items) {
    if (traceparent === '') continue;
    const execute = recordBatchExecute({
      request: traceparent,
      batch: batch.traceparent,
      startMs: arrivedMs,
      endMs: endedMs,
      attributes: { ...attributes, [ATTRIBUTES.requestId]: requestId },
      error,
    });
    const startMs = runMs > 0 ? Math.max(startedMs, endedMs - runMs) : startedMs;
    recordSpan({
      name: MODEL_RUN,
      traceparent: execute,
      startMs,
      endMs: endedMs,
      attributes: { ...runAttributes },
      error,
    });
  }
}

/** After the answers have left: `reply` in each sampled request's trace. */
export function traceReply(batch: Batch, startMs: number, endMs: number): void {
  for (const { traceparent } of batch.items) {
    if (traceparent !== '') recordSpan({ name: SPANS.reply, traceparent, startMs, endMs, kind: 'producer' });
  }
}
