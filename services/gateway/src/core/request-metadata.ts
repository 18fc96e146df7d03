import { isTrafficClass, lowerClass, type TrafficClass } from '@spillway/contracts/classes';
import { HEADERS } from '@spillway/contracts/headers';
import { isName } from '@spillway/contracts/names';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { type AcceptedRungs, readAccept } from './accept.ts';
import { type ReceiptPlace, readReceiptPlace } from './receipt-fields.ts';
import { readTracestate } from './tracestate.ts';

/** What any door says about a request beside its inputs: the same lower-case names in HTTP, gRPC metadata and NATS headers. */
export type RequestMetadata = {
  requestId: string | undefined;
  trafficClass: TrafficClass;
  accept: AcceptedRungs;
  receipt: ReceiptPlace;
  budgetMs: number | undefined;
  noCache: boolean;
  noStore: boolean;
  traceparent: string;
  tracestate: string;
};

const bad = (name: string, expected: string): SpillwayError =>
  new SpillwayError('INVALID_REQUEST', `${name}: expected ${expected}`);
const MAX_BUDGET_MS = 24 * 60 * 60 * 1000;

/** @throws SpillwayError `INVALID_REQUEST` naming the header: who misspells a deadline must learn it. */
export function readMetadata(header: (name: string) => string | undefined, keyClass: TrafficClass): RequestMetadata {
  const cacheControl = header('cache-control');
  const receipt = header(HEADERS.receipt);
  return {
    requestId: readRequestId(header(HEADERS.requestId)),
    trafficClass: classOf(header(HEADERS.trafficClass), keyClass),
    accept: readAccept(header(HEADERS.accept), HEADERS.accept),
    receipt: receipt === undefined ? 'headers' : readReceiptPlace(receipt, HEADERS.receipt),
    budgetMs: budgetOf(header(HEADERS.timeoutMs)),
    noCache: cacheControl !== undefined && /\bno-cache\b/i.test(cacheControl),
    noStore: cacheControl !== undefined && /\bno-store\b/i.test(cacheControl),
    traceparent: header(HEADERS.traceparent) ?? '',
    tracestate: readTracestate(header(HEADERS.tracestate)),
  };
}

/** The caller's own id of a request; undefined: there is none that could stand in traces and logs. */
export const readRequestId = (text: string | undefined): string | undefined =>
  text !== undefined && isName(text) ? text : undefined;

function classOf(asked: string | undefined, keyClass: TrafficClass): TrafficClass {
  if (asked === undefined) return keyClass;
  if (isTrafficClass(asked)) return lowerClass(keyClass, asked);
  throw bad(HEADERS.trafficClass, 'vip, standard or bulk');
}

function budgetOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = /^\d{1,9}(\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN;
  if (ms >= 0 && ms <= MAX_BUDGET_MS) return ms;
  throw bad(HEADERS.timeoutMs, `milliseconds from 0 to ${MAX_BUDGET_MS}`);
}

/** Bytes of the JSON part of a body with binary tensors; undefined: the whole body is JSON. */
export function readHeaderLength(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  if (text === '0')
    throw new SpillwayError('UNSUPPORTED', `${HEADERS.inferenceHeaderLength}: raw binary requests (0) are not served`);
  throw bad(HEADERS.inferenceHeaderLength, 'an integer ≥ 1');
}

/** Triton's `priority`: 0 none, 1 vip, 2 standard, larger is lower. */
export function lowerByPriority(trafficClass: TrafficClass, priority: number): TrafficClass {
  if (priority <= 1) return trafficClass;
  return lowerClass(trafficClass, priority === 2 ? 'standard' : 'bulk');
}

/** The smaller of two budgets, of which either may be missing. */
export function smallerBudget(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : Math.min(a, b);
}
