/** Pressure at which a brown-out level begins. */
const ENTER_AT = [1, 1.5, 2, 3];
const LEAVE_AT = 0.6;
const ENTER_AFTER_MS = 300;
const LEAVE_AFTER_MS = 5_000;
const LAG_MS = 50;
const HEAP_SHARE = 0.9;

/**
 * The brown-out level that this process asks for by itself: its event loop is late or its heap nearly full. One level a step;
 * up after 300 ms, down after 5 s. The level that the model's traffic asks for is the gateways' to say.
 */
export class OwnLevel {
  #level = 0;
  #changingSinceMs: number | undefined;

  get level(): number {
    return this.#level;
  }

  /** @param heap Used, as a share of its limit. To be called several times in 300 ms. */
  observe(lagMs: number, heap: number, nowMs: number): void {
    const pressure = Math.max(lagMs / LAG_MS, heap / HEAP_SHARE);
    const up = pressure >= (ENTER_AT[this.#level] ?? Number.POSITIVE_INFINITY);
    const down = pressure <= LEAVE_AT * (ENTER_AT[this.#level - 1] ?? Number.NEGATIVE_INFINITY);
    if (!up && !down) {
      this.#changingSinceMs = undefined;
      return;
    }
    this.#changingSinceMs ??= nowMs;
    if (nowMs - this.#changingSinceMs < (up ? ENTER_AFTER_MS : LEAVE_AFTER_MS)) return;
    this.#level += up ? 1 : -1;
    this.#changingSinceMs = undefined;
  }
}
