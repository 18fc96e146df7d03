import type { TrafficClass } from '@spillway/contracts/classes';
import { HEADERS } from '@spillway/contracts/headers';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Receipt } from './request.ts';

/** Where the receipt of an answer goes: nowhere, into headers or trailers, or there and into the answer itself. */
export type ReceiptPlace = 'none' | 'headers' | 'body';

/** @throws SpillwayError `INVALID_REQUEST` naming `at`. */
export function readReceiptPlace(text: string, at: string): ReceiptPlace {
  if (text === 'none' || text === 'headers' || text === 'body') return text;
  throw new SpillwayError('INVALID_REQUEST', `${at}: expected none, headers or body`);
}

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

/** What a body says of its answer: the receipt if that was asked for, and always that it is degraded, since headers get lost. */
export const saidInBody = (
  receipt: Record<string, string> | undefined,
  degraded: string,
): Record<string, string> | undefined => receipt ?? (degraded === '' ? undefined : { spillway_degraded: degraded });

/** The receipt as parameters of an answer: names have "_" for "-". */
export function receiptParameters(
  of: { requestId: string; traceparent: string },
  trafficClass: TrafficClass | '',
  receipt: Receipt,
): Record<string, string> {
  const parameters: Record<string, string> = {};
  putReceipt((name, value) => (parameters[name.replaceAll('-', '_')] = value), of, trafficClass, receipt);
  return parameters;
}
