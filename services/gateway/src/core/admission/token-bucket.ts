/**
 * Tokens that come at a rate and are kept up to a burst. Whoever finds any may take what it needs, so a request larger than the
 * burst is served too and the debt is waited off: the rate holds exactly, whatever the sizes are.
 */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #share = 1;
  #atMs: number;

  constructor(options: { perMs: number; burst: number; nowMs: number }) {
    this.#perMs = options.perMs;
    this.#burst = options.burst;
    this.#tokens = options.burst;
    this.#atMs = options.nowMs;
  }

  /** The part of rate and burst that this bucket has; other gateways have the rest. */
  setShare(share: number, nowMs: number): void {
    this.#refill(nowMs);
    this.#share = share;
  }

  hasAny(nowMs: number): boolean {
    this.#refill(nowMs);
    return this.#tokens > 0;
  }

  take(tokens: number): void {
    this.#tokens -= tokens;
  }

  /** Until so many are there. */
  waitMs(tokens: number, nowMs: number): number {
    this.#refill(nowMs);
    return Math.max(0, tokens - this.#tokens) / Math.max(1e-9, this.perMs);
  }

  /**
   * As a caller of all gateways sees it: this one's tokens over its share. Whole tokens, rounded up, since whoever finds any is
   * served; `resetMs` is the time until the bucket is full, if nothing is taken.
   */
  state(nowMs: number): { limit: number; remaining: number; resetMs: number } {
    this.#refill(nowMs);
    const limit = Math.ceil(this.#burst);
    const left = Math.ceil(this.#tokens / Math.max(1e-9, this.#share));
    const missing = this.#burst * this.#share - this.#tokens;
    return { limit, remaining: Math.min(limit, Math.max(0, left)), resetMs: missing / Math.max(1e-9, this.perMs) };
  }

  /** Tokens per ms that come here. */
  get perMs(): number {
    return this.#perMs * this.#share;
  }

  #refill(nowMs: number): void {
    if (nowMs > this.#atMs) {
      this.#tokens += this.perMs * (nowMs - this.#atMs);
      this.#atMs = nowMs;
    }
    this.#tokens = Math.min(this.#burst * this.#share, this.#tokens);
  }
}

const DOOR_BURST_MS = 1_000;

/** Of a door, with a second's burst; undefined: no limit. */
export function doorLimit(perSecond: number, nowMs: number): TokenBucket | undefined {
  const perMs = perSecond / 1_000;
  return Number.isFinite(perMs) ? new TokenBucket({ perMs, burst: perMs * DOOR_BURST_MS, nowMs }) : undefined;
}
