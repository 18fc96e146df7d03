import assert from 'node:assert/strict';
import { isGood, type Operation, tell } from './steady-load.ts';

/** After its deadline an answer may take this much longer, beside what the test machine adds. */
const GRACE_MS = 50;
/** And on a crowded one, where only an answer that never comes says anything about the mesh. */
const CROWDED_GRACE_MS = 20_000;
/** What a caller may be told when a part of the mesh is away: all of it retryable, or the end of his own deadline. */
const TOLD = new Set(['UNAVAILABLE', 'OVERLOADED', 'DEADLINE_EXCEEDED', 'BACKEND_FAILED']);

const lateByMs = (op: Operation): number => op.endMs - op.startMs - op.budgetMs - op.machineMs;

/**
 * The rules that hold under every fault, decided on the client's history alone: every operation ended, none with a wrong
 * answer, each failure with a typed error of a kind that fits, all within the deadline.
 */
export function checkAlways(history: readonly Operation[], allowBrokenConnections = false): void {
  assert.equal(tell(history.filter((op) => op.wrong !== undefined)), '', 'wrong answers');
  const odd = history.filter(
    (op) => op.status !== 200 && (op.status === 0 ? !allowBrokenConnections : !TOLD.has(op.error)),
  );
  assert.equal(tell(odd), '', 'failures without a typed error, or with one that does not fit');
  const late = history.filter((op) => lateByMs(op) > (op.crowded ? CROWDED_GRACE_MS : GRACE_MS));
  const worst = Math.max(...late.map(lateByMs)).toFixed(0);
  assert.equal(tell(late), '', `answers later than the deadline + ${GRACE_MS} ms, by up to ${worst} ms`);
}

/** From the signal to the end of the process, and to the readiness of the next one; times of this process' clock. */
export type Outage = { fromMs: number; goneMs: number; backMs: number };

export const wasInFlightAt = (op: Operation, outage: Pick<Outage, 'fromMs' | 'goneMs'>): boolean =>
  op.startMs <= outage.goneMs && op.endMs >= outage.fromMs;

/**
 * Refused because it would have been late, or because NATS did not answer in a second, while the test machine kept its processors from
 * the mesh: no fault of the mesh.
 */
export const wasCrowdedOut = (op: Operation): boolean =>
  op.crowded && (op.error === 'OVERLOADED' || (op.error === 'UNAVAILABLE' && op.reason === 'bus'));

/** And expired for the same reason. */
export const wasStarved = (op: Operation): boolean =>
  wasCrowdedOut(op) || (op.error === 'DEADLINE_EXCEEDED' && (op.crowded || op.machineMs > op.budgetMs / 2));

/** Operations that failed although nothing excuses them, with their times relative to the outage; '' if there are none. */
export function tellUnexcused(
  history: readonly Operation[],
  outage: Outage,
  excused: (op: Operation) => boolean = () => false,
): string {
  const left = history.filter((op) => !isGood(op) && !wasInFlightAt(op, outage) && !wasStarved(op) && !excused(op));
  if (left.length === 0) return '';
  const at = (ms: number): string => (ms - outage.fromMs).toFixed(0);
  const times = left.slice(0, 8).map((op) => `${at(op.startMs)}–${at(op.endMs)}`);
  return `${tell(left)}; ms after the kill: ${times.join(', ')}; it was back at ${at(outage.backMs)}`;
}

/** Answers that took longer than `limitMs` although the machine was calm; '' if there are none. */
export function tellSlow(history: readonly Operation[], limitMs: number): string {
  const slow = history.filter((op) => !op.crowded && op.endMs - op.startMs - op.machineMs > limitMs);
  if (slow.length === 0) return '';
  const worst = Math.max(...slow.map((op) => op.endMs - op.startMs));
  return `${tell(slow)}; the slowest took ${worst.toFixed(0)} ms`;
}

export const degradedCount = (history: readonly Operation[]): number =>
  history.filter((op) => op.degraded !== '').length;

/** Zero failures in n show a rate below 3/n with 95 % confidence. */
export const claim = (n: number): string => `0 of ${n} failed (rate < ${(3 / n).toExponential(1)} at 95 %)`;
