import type { Fields } from './errors.ts';

/** How the mesh came to an answer. A member that does not apply is undefined: a cache hit has no batch. */
export type Receipt = {
  /** The id in traces and logs. */
  requestId: string | undefined;
  traceId: string | undefined;
  /** run, wait, degraded or ticket. */
  rung: string | undefined;
  /** The class that was used, which may be lower than the one asked for. */
  trafficClass: string | undefined;
  /** From admission to the start of the batch, and the run itself. */
  queueMs: number | undefined;
  runMs: number | undefined;
  batchId: string | undefined;
  /** Rows. */
  batchSize: number | undefined;
  closedBy: string | undefined;
  /** hit, miss, joined, stale or bypass. */
  cache: string | undefined;
  variant: string | undefined;
  worker: string | undefined;
  /** What kept the answer from being an idle mesh's: variant, features, stale. */
  degraded: string | undefined;
  /** Tries inside the mesh. */
  attempts: number;
};

export function readReceipt(fields: Fields): Receipt {
  const text = (name: string): string | undefined => fields(name) || undefined;
  const number = (name: string): number | undefined => (text(name) === undefined ? undefined : Number(text(name)));
  return {
    requestId: text('x-request-id'),
    traceId: text('spillway-trace-id'),
    rung: text('spillway-rung'),
    trafficClass: text('spillway-class'),
    queueMs: number('spillway-queue-ms'),
    runMs: number('spillway-run-ms'),
    batchId: text('spillway-batch-id'),
    batchSize: number('spillway-batch-size'),
    closedBy: text('spillway-closed-by'),
    cache: text('spillway-cache'),
    variant: text('spillway-variant'),
    worker: text('spillway-worker'),
    degraded: text('spillway-degraded'),
    attempts: number('spillway-attempts') ?? 1,
  };
}
