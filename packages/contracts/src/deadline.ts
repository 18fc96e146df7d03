/**
 * Remaining budget on the wire ⇄ deadline on a local monotonic clock. Clocks of two hosts are never compared: a receiver
 * keeps, per sender, the smallest (arrival − sent) it saw in the last `windowMs`, which is the offset of the two clocks plus
 * the fastest trip. What a frame took longer than that, it spent waiting.
 */
export class ClockOffsets {
  readonly #windowMs: number;
  readonly #senders = new Map<string, { current: number; previous: number; rotatedAtMs: number }>();

  constructor(windowMs = 10_000) {
    this.#windowMs = windowMs;
  }

  /** A heartbeat of `sender`, on a path that never queues. */
  observe(sender: string, sentMs: number, arrivedMs: number): void {
    const offset = arrivedMs - sentMs;
    const known = this.#senders.get(sender);
    if (known === undefined) {
      this.#senders.set(sender, { current: offset, previous: offset, rotatedAtMs: arrivedMs });
      return;
    }
    if (arrivedMs - known.rotatedAtMs > this.#windowMs / 2) {
      known.previous = known.current;
      known.current = offset;
      known.rotatedAtMs = arrivedMs;
    } else if (offset < known.current) known.current = offset;
  }

  /** How long a message of `sender` has been under way, ms ≥ 0. A sender without a heartbeat yet: 0. */
  ageMs(sender: string, sentMs: number, nowMs: number): number {
    const known = this.#senders.get(sender);
    if (known === undefined) return 0;
    return Math.max(0, nowMs - sentMs - Math.min(known.current, known.previous));
  }

  /** A restarted sender begins a new clock. */
  forget(sender: string): void {
    this.#senders.delete(sender);
  }
}
