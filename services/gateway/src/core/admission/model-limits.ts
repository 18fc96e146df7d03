import { TokenBucket } from './token-bucket.ts';
import type { AdmittedModel } from './types.ts';

const BURST_MS = 1_000;

/** What a model's owner lets through at all gateways together, whatever the model could serve. */
export class ModelLimits {
  readonly #maxInFlight: number;
  readonly #bucket: TokenBucket | undefined;
  #inFlight = 0;

  constructor(limits: AdmittedModel['limits'], nowMs: number) {
    this.#maxInFlight = limits?.maxInFlight ?? Number.POSITIVE_INFINITY;
    if (limits?.rate === undefined) return;
    const perMs = limits.rate / 1_000;
    this.#bucket = new TokenBucket({ perMs, burst: perMs * BURST_MS, nowMs });
  }

  /** @param share of the model's traffic that comes to this gateway. */
  allows(share: number, nowMs: number): boolean {
    if (this.#inFlight >= Math.ceil(this.#maxInFlight * share)) return false;
    if (this.#bucket === undefined) return true;
    this.#bucket.setShare(share, nowMs);
    return this.#bucket.hasAny(nowMs);
  }

  admitted(): void {
    this.#inFlight += 1;
    this.#bucket?.take(1);
  }

  ended(): void {
    this.#inFlight = Math.max(0, this.#inFlight - 1);
  }

  /** Until the next request may come. */
  waitMs(nowMs: number): number {
    return this.#bucket?.waitMs(1, nowMs) ?? 0;
  }
}
