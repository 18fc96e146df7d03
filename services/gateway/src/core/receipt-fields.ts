import type { TrafficClass } from '@spillway/contracts/classes';
import { HEADERS } from '@spillway/contracts/headers';
import type { Receipt } from './request.ts';

/** Hands over the receipt of an answer, name by name: for headers, trailers and parameters. */
export function putReceipt(
  put: (name: string, value: string) => void,
  of: { requestId: string; traceparent: string },
  trafficClass: TrafficClass | '',
  receipt: Receipt,
): void {
  put(HEADERS.requestId, of.requestId);
  put(HEADERS.rung, receipt.rung);
  put(HEADERS.trafficClass, trafficClass);
  put(HEADERS.modelVersion, receipt.version);
  put(HEADERS.cache, receipt.cache);
  if (receipt.batchId !== '') {
    put(HEADERS.queueMs, receipt.queueMs.toFixed(3));
    put(HEADERS.runMs, receipt.runMs.toFixed(3));
    put(HEADERS.batchId, receipt.batchId);
    put(HEADERS.batchSize, String(receipt.batchRows));
    put(HEADERS.closedBy, receipt.closedBy);
    put(HEADERS.worker, receipt.worker);
  }
  if (receipt.variant !== '') put(HEADERS.variant, receipt.variant);
  if (receipt.attempts > 1) put(HEADERS.attempts, String(receipt.attempts));
  if (receipt.degraded !== '') put(HEADERS.degraded, receipt.degraded);
  if (of.traceparent !== '') put(HEADERS.traceId, of.traceparent.slice(3, 35));
}
