import type { ModelQueues } from './model-queues.ts';
import type { Window } from './pull-plan.ts';
import type { Slot } from './slot.ts';

export type WindowLimits = { batches: number; bytes: number };

const LEAST_ACK_WAIT_MS = 250;

/**
 * How much of a model may be held: some full batches for each class of requests (one more than run side by side, so that none
 * waits for a pull), of bulk at least what its floor buys, and of jobs only what idle instances would run now from spare
 * capacity, or what their floor owes them. Nothing while every instance is suspect.
 */
export function pullWindows(
  limits: WindowLimits,
  slots: readonly Slot[],
  queues: ModelQueues,
): { requests: Window; jobs: Window } {
  let fullRows = 1;
  let healthy = 0;
  let idle = 0;
  for (const slot of slots) {
    fullRows = Math.max(fullRows, queues.operatingRows(slot));
    for (const { suspect, inFlight } of slot.instances) {
      if (suspect) continue;
      healthy += 1;
      if (slot.free > 0 && inFlight === 0) idle += 1;
    }
  }
  const { bytes } = limits;
  if (healthy === 0) return { requests: { rows: 0, bytes, leastRows: [] }, jobs: { rows: 0, bytes, leastRows: [] } };
  const idleRows = queues.requests.empty && queues.spare.open ? idle * fullRows : 0;
  const jobRows = Math.max(idleRows, queues.jobsTurn ? fullRows : 0);
  const rows = Math.max(limits.batches, healthy + 1) * fullRows;
  return {
    requests: { rows, bytes, leastRows: [0, 0, queues.bulkFloor.windowRows(fullRows)] },
    jobs: { rows: Math.max(jobRows, queues.floor.dueRows(fullRows)), bytes, leastRows: [] },
  };
}

/**
 * `ack_wait` of a model: three full batches, rounded up to 250 ms times a power of two so that batchers whose workers differ a
 * little provide the same consumer.
 */
export function ackWaitMs(slots: readonly Slot[]): number {
  const wantedMs = 3 * Math.max(0, ...slots.map((slot) => slot.runTime('').predictMs(slot.maxRows)));
  let stepMs = LEAST_ACK_WAIT_MS;
  while (stepMs < wantedMs) stepMs *= 2;
  return stepMs;
}
