import { CLASSES } from '@spillway/contracts/classes';
import type { Attempt } from '../chain/attempt.ts';
import { Line, type QueuePolicy, type QueueSetting } from './queue-policy.ts';

/**
 * Triton's dynamic batcher as its guide describes it: priority levels, each a FIFO with `max_queue_size`; a request that waited
 * longer than `default_timeout_microseconds` is rejected when its turn comes (`timeout_action: REJECT`); an idle instance takes
 * what is there (`max_queue_delay_microseconds: 0`). The timeout is the deadline, the queue what can be served in one.
 * https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/batcher.html
 */
export function triton({ maxRows, deadlineMs, rowsPerMs }: QueueSetting): QueuePolicy {
  const maxQueueSize = Math.max(maxRows, Math.ceil(rowsPerMs * deadlineMs));
  const levels = CLASSES.map(() => new Line());
  return {
    push: (attempt) => {
      const level = levels[attempt.rank] as Line;
      if (level.length >= maxQueueSize) return false;
      level.push(attempt);
      return true;
    },
    take: (nowMs) => {
      const batch: Attempt[] = [];
      const dropped: Attempt[] = [];
      for (const level of levels) {
        while (batch.length < maxRows && level.length > 0) {
          const attempt = level.shift() as Attempt;
          (nowMs - attempt.sentAtMs >= deadlineMs ? dropped : batch).push(attempt);
        }
      }
      return { batch, dropped, retryInMs: Number.POSITIVE_INFINITY };
    },
    ended: () => undefined,
  };
}
