import type { Bus, Subscription } from '@spillway/bus/bus';
import { decodeSignal } from '@spillway/bus/decode-signal';
import { cancelCodec } from '@spillway/contracts/messages';
import { ALL_CANCELS } from '@spillway/contracts/subjects';
import type { Cancelled } from '../core/cancelled.ts';
import type { Dispatcher } from '../core/dispatcher.ts';
import type { Work } from '../core/work.ts';

/** Takes requests out whose callers have left: those that wait here, and those whose frame is still to come. */
export function listenToCancels(
  bus: Bus,
  {
    dispatcher,
    cancelled,
    onDropped,
  }: { dispatcher: Dispatcher; cancelled: Cancelled; onDropped: (work: Work[]) => void },
): Subscription {
  return bus.subscribe(ALL_CANCELS, ({ payload }) => {
    const cancel = decodeSignal(cancelCodec, payload);
    if (cancel === undefined) return;
    const { gateway, seqs } = cancel;
    const dropped = dispatcher.cancel(gateway, seqs);
    if (dropped.length > 0) onDropped(dropped);
    if (dropped.length < seqs.length) cancelled.add(gateway, seqs);
  });
}
