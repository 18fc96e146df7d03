import type { Bus } from '@spillway/bus/bus';
import { cancelCodec } from '@spillway/contracts/messages';
import { cancelSubject } from '@spillway/contracts/subjects';

/**
 * Tells the batchers which callers have left: by message, never by resetting a stream, and one message for all of a turn.
 * At most once: a lost cancel costs one run, nothing else.
 */
export function cancelPublisher(bus: Bus): { cancel(seq: number): void } {
  let seqs: number[] = [];
  const flush = () => {
    bus.publish(cancelSubject(bus.instance), cancelCodec.encode({ gateway: bus.instance, seqs }));
    seqs = [];
  };
  return {
    cancel: (seq) => {
      seqs.push(seq);
      if (seqs.length === 1) setImmediate(flush);
    },
  };
}
