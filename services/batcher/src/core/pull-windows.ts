import type { Slot } from './credits.ts';
import type { ModelQueues } from './model-queues.ts';
import type { Window } from './pull-plan.ts';

export type WindowLimits = { batches: number; bytes: number };

const LEAST_ACK_WAIT_MS = 250;

/**
 * How much of a model may be held: some full batches for each class of requests (one more than run side by side, so that none
 * waits for a pull), and of jobs only what free places would run now, or what their floor owes them.
 */
export function pullWindows(
  limits: WindowLimits,
  slots: readonly Slot[],
  queues: ModelQueues,
): { requests: Window; jobs: Window } {
  let maxRows = 1;
  let width = 0;
  let emptyPlaces = 0;
  for (const slot of slots) {
    maxRows = Math.max(maxRows, slot.maxRows);
    width += slot.width;
    if (slot.free > 0) emptyPlaces += Math.max(0, slot.width - slot.inFlight);
  }
  const { bytes } = limits;
  const jobRows = queues.requests.empty ? emptyPlaces * maxRows : 0;
  return {
    requests: { rows: Math.max(limits.batches, width + 1) * maxRows, bytes },
    jobs: { rows: Math.max(jobRows, queues.floor.dueRows(maxRows)), bytes },
  };
}

/**
 * `ack_wait` of a model: three full batches, rounded up to 250 ms times a power of two so that batchers whose workers differ a
 * little provide the same consumer.
 */
export function ackWaitMs(slots: readonly Slot[]): number {
  const wantedMs = 3 * Math.max(0, ...slots.map((slot) => slot.cost.predictMs(slot.maxRows)));
  let stepMs = LEAST_ACK_WAIT_MS;
  while (stepMs < wantedMs) stepMs *= 2;
  return stepMs;
}
