import { CLASSES } from '@spillway/contracts/classes';
import type { Attempt } from '../chain/attempt.ts';
import { Line, type QueuePolicy, type QueueSetting } from './queue-policy.ts';

const INTERVAL_MS = 100;

/**
 * Controlled delay with adaptive LIFO: a queue that was not empty for an interval keeps requests for the target only and
 * serves the newest first. Ben Maurer, "Fail at Scale", ACM Queue 13(8), 2015. With priorities; the target is one full batch,
 * for less would drop what could be served.
 */
export function codel({ maxRows, rowsPerMs, instances }: QueueSetting): QueuePolicy {
  const targetMs = (maxRows * instances) / rowsPerMs;
  const queues = CLASSES.map(() => ({ line: new Line(), emptyAtMs: 0 }));
  return {
    push: (attempt) => {
      (queues[attempt.rank] as (typeof queues)[number]).line.push(attempt);
      return true;
    },
    take: (nowMs) => {
      const batch: Attempt[] = [];
      const dropped: Attempt[] = [];
      for (const queue of queues) {
        const { line } = queue;
        const congested = nowMs - queue.emptyAtMs > INTERVAL_MS;
        const keptMs = congested ? targetMs : INTERVAL_MS;
        for (let first = line.first(); first !== undefined && nowMs - first.sentAtMs > keptMs; first = line.first()) {
          dropped.push(line.shift() as Attempt);
        }
        while (batch.length < maxRows && line.length > 0) {
          batch.push((congested ? line.pop() : line.shift()) as Attempt);
        }
        if (line.length === 0) queue.emptyAtMs = nowMs;
      }
      return { batch, dropped, retryInMs: Number.POSITIVE_INFINITY };
    },
    ended: () => undefined,
  };
}
