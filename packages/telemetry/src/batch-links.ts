import { batchSpanName, SPANS } from './names.ts';
import { childTraceparent, recordSpan, type SpanAttributes, type SpanError } from './spans.ts';

/*
 * A batch has many requests and a span one parent. So a batch is a trace of its own, whose root links to its requests;
 * and each request's trace has a `batch.execute` with the times of the run and a link back. Either way round one id
 * leads to the other, also for tools that do not follow links.
 */

type Times = {
  /** ms of this process's monotonic clock. */
  startMs: number;
  endMs: number;
  error?: SpanError | undefined;
};

/**
 * Draws the batch's own id when the batch is formed, to be sent along with it.
 * @param requests Traceparents of its requests, '' for those that are not sampled.
 * @returns '' when no request in it is sampled: then there is no batch span either.
 */
export function batchTraceparent(requests: readonly string[]): string {
  return requests.some((request) => request !== '') ? childTraceparent('', { root: true }) : '';
}

/** Records `batch <model>`, the root span of a batch. Does nothing when `batch` is ''. */
export function recordBatch(
  batch: { traceparent: string; model: string; requests: readonly string[]; attributes?: SpanAttributes } & Times,
): void {
  if (batch.traceparent === '') return;
  const { model, requests, attributes, startMs, endMs, error } = batch;
  recordSpan({
    name: batchSpanName(model),
    traceparent: '',
    id: batch.traceparent,
    kind: 'consumer',
    links: requests,
    attributes,
    startMs,
    endMs,
    error,
  });
}

/**
 * Records what a request had of a batch's run: `batch.execute` below the request's span, linked to the batch.
 * @param execution `request` is the parent; '' (not sampled) records nothing. Attributes are copied, so that one object
 * serves all requests of a batch.
 * @returns The span's traceparent, for what comes below it.
 */
export function recordBatchExecute(
  execution: { request: string; batch: string; attributes?: SpanAttributes } & Times,
): string {
  if (execution.request === '') return '';
  const { request, batch, attributes, startMs, endMs, error } = execution;
  return recordSpan({
    name: SPANS.batchExecute,
    traceparent: request,
    links: [batch],
    attributes: { ...attributes },
    startMs,
    endMs,
    error,
  });
}
