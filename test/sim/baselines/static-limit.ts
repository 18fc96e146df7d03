import { CLASSES } from '@spillway/contracts/classes';
import type { Attempt } from '../chain/attempt.ts';
import { Line, type QueuePolicy, type QueueSetting } from './queue-policy.ts';

/**
 * A limit on what is in flight, set to what can be served in half a deadline, and queues by priority: what an operator
 * configures with a proxy's circuit breaker and a priority queue.
 */
export function staticLimit({ maxRows, deadlineMs, rowsPerMs }: QueueSetting): QueuePolicy {
  const limit = Math.max(maxRows, (rowsPerMs * deadlineMs) / 2);
  const lines = CLASSES.map(() => new Line());
  let inFlight = 0;
  return {
    push: (attempt) => {
      if (inFlight >= limit) return false;
      inFlight += 1;
      (lines[attempt.rank] as Line).push(attempt);
      return true;
    },
    take: () => {
      const batch: Attempt[] = [];
      for (const line of lines) {
        while (batch.length < maxRows && line.length > 0) batch.push(line.shift() as Attempt);
      }
      return { batch, dropped: [], retryInMs: Number.POSITIVE_INFINITY };
    },
    ended: (rows) => {
      inFlight -= rows;
    },
  };
}
