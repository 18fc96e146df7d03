import type { Attempt } from '../chain/attempt.ts';
import { Line, type QueuePolicy, type QueueSetting } from './queue-policy.ts';

/** One unbounded queue; whoever waits too long has a client that left, which the server does not know. */
export function fifo({ maxRows }: QueueSetting): QueuePolicy {
  const line = new Line();
  return {
    push: (attempt) => {
      line.push(attempt);
      return true;
    },
    take: () => {
      const batch: Attempt[] = [];
      while (batch.length < maxRows && line.length > 0) batch.push(line.shift() as Attempt);
      return { batch, dropped: [], retryInMs: Number.POSITIVE_INFINITY };
    },
    ended: () => undefined,
  };
}
