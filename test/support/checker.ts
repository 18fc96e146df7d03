import assert from 'node:assert/strict';
import { isGood, type Operation, tell } from './steady-load.ts';

/**
 * The rules that hold under every fault, decided on the client's history alone. After its deadline an answer may take this
 * much longer; a loaded test machine adds its own delay to what the client sees.
 */
const GRACE_MS = 50;
const CLIENT_LAG_MS = Number(process.env['SPILLWAY_TEST_LAG_MS'] ?? 100);

/** Every operation ended, none with a wrong answer, each failure with a typed error, all within the deadline. */
export function checkAlways(history: readonly Operation[], allowBrokenConnections = false): void {
  const failed = history.filter((op) => !isGood(op));
  assert.deepEqual(tell(history.filter((op) => op.wrong !== undefined)), '', 'wrong answers');
  const untyped = failed.filter((op) => (op.status === 0 ? !allowBrokenConnections : op.error === ''));
  assert.equal(tell(untyped), '', 'failures without a typed error');
  const late = history.filter((op) => op.endMs - op.startMs > op.budgetMs + GRACE_MS + CLIENT_LAG_MS);
  assert.equal(tell(late), '', `answers later than the deadline + ${GRACE_MS} ms`);
}

/** Operations that failed although nothing excused them. */
export const unexcused = (history: readonly Operation[], excused: (op: Operation) => boolean): Operation[] =>
  history.filter((op) => !isGood(op) && !excused(op));

export const wasInFlightAt = (op: Operation, atMs: number): boolean => op.startMs <= atMs && op.endMs >= atMs;

/** Zero failures in n show a rate below 3/n with 95 % confidence. */
export const claim = (n: number): string => `0 of ${n} failed (rate < ${(3 / n).toExponential(1)} at 95 %)`;
