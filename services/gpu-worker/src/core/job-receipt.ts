import { HEADERS } from '@spillway/contracts/headers';
import type { Job } from '@spillway/contracts/messages';
import type { BatchHead } from './executor-messages.ts';

/** What is known of the batch in which a job ran. */
export type RunFacts = Pick<BatchHead, 'batchId' | 'model' | 'version' | 'variant' | 'closedBy' | 'rows'> & {
  worker: string;
  runMs: number;
};

/** A wait that a person would not notice is no wait: the batch was simply forming. */
const WAITED_MS = 5;

/** The receipt of a job's result, as headers. `queueMs` counts from its acceptance; `deliveries` is JetStream's count. */
export function jobReceipt(
  job: Job,
  run: RunFacts,
  { queueMs, deliveries }: { queueMs: number; deliveries: number },
): Record<string, string> {
  const { requestId = '', trafficClass = '', degraded = '', traceparent } = job;
  const known: [name: string, value: string][] = [
    [HEADERS.requestId, requestId],
    [HEADERS.rung, run.variant !== '' ? 'degraded' : queueMs > WAITED_MS ? 'wait' : 'run'],
    [HEADERS.trafficClass, trafficClass],
    [HEADERS.modelVersion, run.version],
    [HEADERS.cache, 'bypass'],
    [HEADERS.queueMs, queueMs.toFixed(3)],
    [HEADERS.runMs, run.runMs.toFixed(3)],
    [HEADERS.batchId, run.batchId],
    [HEADERS.batchSize, String(run.rows)],
    [HEADERS.closedBy, run.closedBy],
    [HEADERS.worker, run.worker],
    [HEADERS.variant, run.variant],
    [HEADERS.attempts, deliveries > 1 ? String(deliveries) : ''],
    [HEADERS.degraded, degraded],
    [HEADERS.traceId, traceparent.slice(3, 35)],
  ];
  return Object.fromEntries(known.filter(([, value]) => value !== ''));
}
