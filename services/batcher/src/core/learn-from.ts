import type { BatchDone } from '@spillway/contracts/messages';
import type { Capacity } from './capacity.ts';
import type { Dispatch } from './in-flight.ts';
import type { Work } from './work.ts';

/** A worker's batches follow each other this closely, unless it had none to run. */
const BACK_TO_BACK = { factor: 2, ms: 5 };

/** What the end of a batch tells: how long the model takes, how far its worker is, whether there is enough to do. */
export function learnFrom(dispatch: Dispatch, done: BatchDone, capacity: Capacity | undefined, nowMs: number): void {
  const { instance, slot, rows, predictedMs, fullRows } = dispatch;
  const { warm, suspect, endedMs } = instance;
  const { runMs, errorCode, notStarted, lost } = done;
  const ran = errorCode === '' && !notStarted && !lost;
  instance.ended({ predictedMs, runMs, ran, nowMs });
  if (lost || errorCode === 'BACKEND_FAILED') instance.lose(nowMs); // requests that fail alone do not fail their batch
  if (!ran) return;
  slot.ran(runMs);
  const { behindMs } = dispatch;
  const awayMs = nowMs - dispatch.sentAtMs - runMs;
  if (behindMs === 0) slot.hop.observe(awayMs);
  else if (behindMs !== undefined && behindMs > slot.hop.ms) slot.observeSharing(behindMs, awayMs - slot.hop.ms);
  const first = dispatch.work[0] as Work;
  if (warm) slot.runTime(first.variant).observe(rows, busyMs(dispatch, runMs, endedMs, nowMs), fullRows);
  if (!suspect && !first.frame.durable) capacity?.ended(rows, dispatch);
}

/**
 * How long an instance was busy with a batch: from the end of the one before, if it was there by then, since reading and
 * answering keep an executor busy too; else only the run itself is known.
 */
function busyMs({ sentAtMs, slot }: Dispatch, runMs: number, lastEndedMs: number, nowMs: number): number {
  const gapMs = nowMs - lastEndedMs;
  const waited =
    sentAtMs + slot.hop.ms <= lastEndedMs && slot.othersEndedMs < lastEndedMs && slot.othersMs(nowMs) === 0;
  return waited && gapMs <= BACK_TO_BACK.factor * runMs + BACK_TO_BACK.ms ? gapMs : runMs;
}
