import { type ReplyFrame, type ReplyItem, replyFrameCodec } from '@spillway/contracts/messages';
import type { Reply } from './executor-messages.ts';

/** Below the 1 MiB that a NATS server takes unless it is configured otherwise, with room for the frame's own fields. */
export const MAX_FRAME_BYTES = 900 * 1024;
const ITEM_OVERHEAD_BYTES = 64; // ids, numbers and tags of an item, without its texts and tensors

/** What is said of a batch once, whoever its answers go to. */
export type BatchFacts = Omit<ReplyFrame, 'items'>;

/** An answer and the inbox it goes to, an index into the batch's `reply_to`. */
export type AddressedReply = { replyTo: number; item: ReplyItem };

/**
 * Packs the answers of one batch into one frame for each gateway, or several where one would be larger than
 * `MAX_FRAME_BYTES`; an answer that is larger by itself travels alone. An answer whose inbox the batch does not name is
 * dropped: there is nobody to tell.
 */
export function packReplies(
  facts: BatchFacts,
  inboxes: readonly string[],
  replies: readonly AddressedReply[],
): Reply[] {
  const open: { items: ReplyItem[]; bytes: number }[] = inboxes.map(() => ({ items: [], bytes: 0 }));
  const frames: Reply[] = [];
  const close = (index: number): void => {
    const { items } = open[index] as { items: ReplyItem[] };
    open[index] = { items: [], bytes: 0 };
    if (items.length > 0)
      frames.push({ subject: inboxes[index] as string, frame: replyFrameCodec.encode({ ...facts, items }) });
  };
  for (const { replyTo, item } of replies) {
    if (open[replyTo] === undefined) continue;
    const bytes = item.tensors.length + item.errorMessage.length + ITEM_OVERHEAD_BYTES;
    if ((open[replyTo] as { bytes: number }).bytes + bytes > MAX_FRAME_BYTES) close(replyTo);
    const frame = open[replyTo] as { items: ReplyItem[]; bytes: number };
    frame.items.push(item);
    frame.bytes += bytes;
  }
  for (let index = 0; index < open.length; index += 1) close(index);
  return frames;
}
