/**
 * Decides when the frames of a turn leave: at once while none is under way, else when those under way are acknowledged
 * (Nagle's rule, RFC 896). An idle gateway waits for nothing; a busy one packs more requests into a message, and each message
 * costs it, the stream and the batcher alike.
 */
export class FramePacer {
  readonly #sendFrames: () => Promise<void>[];
  readonly #holdMs: number;
  #underWay = 0;
  #held: NodeJS.Timeout | undefined;

  /** @param holdMs Longest wait for an acknowledgement: a slow stream must not slow the gateway down further. */
  constructor(sendFrames: () => Promise<void>[], holdMs = 1) {
    this.#sendFrames = sendFrames;
    this.#holdMs = holdMs;
  }

  /** The buffer has become non-empty. */
  flushSoon(): void {
    setImmediate(() => {
      if (this.#underWay === 0) this.#send();
      else this.#held ??= setTimeout(() => this.#send(), this.#holdMs);
    });
  }

  #send(): void {
    clearTimeout(this.#held);
    this.#held = undefined;
    for (const sent of this.#sendFrames()) {
      this.#underWay += 1;
      void sent.then(() => {
        this.#underWay -= 1;
        if (this.#underWay === 0 && this.#held !== undefined) this.#send();
      });
    }
  }
}
