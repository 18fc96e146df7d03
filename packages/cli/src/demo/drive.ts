import { HEADERS } from '@spillway/contracts/headers';
import { type Door, errorText, type JsonTensor } from '../door.ts';
import { bodyOf, compare, type ExpectedCase } from './expected.ts';

export type DriveResult = {
  model: string;
  sent: number;
  right: number;
  tookMs: number[]; // of right answers, in the order in which they came
  elapsedMs: number;
  largestDifference: number;
  cacheHits: number;
  /** Sizes of the batches that the answers came in; cache hits have none. */
  batchSizes: number[];
  /** Answers that differ, but that the mesh itself marked as less than full: features that did not come in time. */
  degraded: number;
  faults: string[]; // the first few
  /** The last request that was traced, if any. */
  traceId: string | undefined;
};

const FAULTS_KEPT = 3;

/**
 * Sends the cases in turn over `connections` connections, again and again until `total` were sent or `forMs` is over, and checks
 * every answer.
 */
export async function drive(
  door: Door,
  model: string,
  cases: ExpectedCase[],
  load: { connections: number; total: number; forMs: number },
): Promise<DriveResult> {
  const result: DriveResult = {
    ...{ model, sent: 0, right: 0, tookMs: [], elapsedMs: 0, largestDifference: 0, cacheHits: 0, degraded: 0 },
    ...{ batchSizes: [], faults: [], traceId: undefined },
  };
  const startedMs = performance.now();
  const worker = async () => {
    while (result.sent < load.total && performance.now() - startedMs < load.forMs) {
      const expected = cases[result.sent % cases.length];
      if (!expected) return;
      result.sent += 1;
      await one(door, model, expected, result);
    }
  };
  await Promise.all(Array.from({ length: Math.min(load.connections, load.total) }, worker));
  result.elapsedMs = performance.now() - startedMs;
  return result;
}

async function one(door: Door, model: string, expected: ExpectedCase, result: DriveResult): Promise<void> {
  const answer = await door.infer(model, bodyOf(expected));
  result.traceId = answer.headers[HEADERS.traceId] ?? result.traceId; // the last one is warm
  const { wrong, largestDifference } =
    answer.status === 200
      ? compare(expected, (answer.body as { outputs: JsonTensor[] }).outputs)
      : { wrong: errorText(answer), largestDifference: 0 };
  const degraded = answer.headers[HEADERS.degraded];
  if (wrong !== undefined) {
    if (answer.status === 200 && degraded) result.degraded += 1;
    else if (result.faults.length < FAULTS_KEPT) result.faults.push(wrong);
    return;
  }
  result.right += 1;
  result.tookMs.push(answer.tookMs);
  result.largestDifference = Math.max(result.largestDifference, largestDifference);
  if (answer.headers[HEADERS.cache] === 'hit') result.cacheHits += 1;
  const batchSize = Number(answer.headers[HEADERS.batchSize]);
  if (batchSize > 0) result.batchSizes.push(batchSize);
}

/** The value below which this share of the sorted numbers lies; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
