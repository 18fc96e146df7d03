import type { Reply } from './executor-messages.ts';

/** What the answers of some seconds at full load take. */
const MOST_BYTES = 16 * 1024 * 1024;
/** Who asked before the bus went away has been told so; what was asked since its return waits no longer than this. */
const KEEP_MS = 5_000;

/**
 * Answers that wait for the bus. Services come back to it one after the other: a gateway and a batcher that were first have
 * new requests run here, whose answers would be lost although everybody is well.
 */
export class HeldReplies {
  #held: { reply: Reply; atMs: number }[] = [];
  #bytes = 0;

  /** @returns How many gave way to these: the oldest go first. */
  add(replies: readonly Reply[], nowMs: number): number {
    for (const reply of replies) {
      this.#held.push({ reply, atMs: nowMs });
      this.#bytes += reply.frame.byteLength;
    }
    let dropped = 0;
    while (this.#bytes > MOST_BYTES) this.#bytes -= this.#held[dropped++]?.reply.frame.byteLength ?? 0;
    this.#held.splice(0, dropped);
    return dropped;
  }

  /** Empties it. `expired`: how many are too old to be of use to anybody. */
  take(nowMs: number): { replies: Reply[]; expired: number } {
    const replies = this.#held.filter(({ atMs }) => nowMs - atMs <= KEEP_MS).map(({ reply }) => reply);
    const expired = this.#held.length - replies.length;
    this.#held = [];
    this.#bytes = 0;
    return { replies, expired };
  }
}
