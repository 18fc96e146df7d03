import type { Clock } from './clock.ts';

/**
 * `failures` within `windowMs` and no success between them open it for `openMs`; then one probe is let through. Without
 * the second condition five late answers in a thousand would open it, which is what a busy second of any host makes.
 */
export type BreakerRules = { clock: Clock; failures: number; windowMs: number; openMs: number };
export type BreakerState = 'closed' | 'open' | 'half-open';
export type BreakerChange = 'opened' | 'closed' | undefined;

/** Keeps callers from waiting for a source that does not answer. Every `allow()` that said yes is followed by one verdict. */
export class Breaker {
  readonly #rules: BreakerRules;
  #state: BreakerState = 'closed';
  #failedAtMs: number[] = []; // the last `failures` of them, oldest first
  #openedAtMs = 0;

  constructor(rules: BreakerRules) {
    this.#rules = rules;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** Would `allow()` say no? Changes nothing. */
  blocks(): boolean {
    if (this.#state === 'closed') return false;
    return this.#state === 'half-open' || this.#rules.clock.now() - this.#openedAtMs < this.#rules.openMs;
  }

  /** May this round trip start? While half-open only the first one may: the probe. */
  allow(): boolean {
    if (this.blocks()) return false;
    if (this.#state === 'open') this.#state = 'half-open';
    return true;
  }

  succeeded(): BreakerChange {
    if (this.#state === 'open') return undefined; // a round trip from before it opened; the probe decides
    const change = this.#state === 'half-open' ? 'closed' : undefined;
    this.#state = 'closed';
    if (this.#failedAtMs.length > 0) this.#failedAtMs = [];
    return change;
  }

  failed(): BreakerChange {
    const now = this.#rules.clock.now();
    if (this.#state === 'open') return undefined;
    if (this.#state === 'closed') {
      this.#failedAtMs.push(now);
      if (this.#failedAtMs.length > this.#rules.failures) this.#failedAtMs.shift();
      const [oldest = now] = this.#failedAtMs;
      if (this.#failedAtMs.length < this.#rules.failures || now - oldest > this.#rules.windowMs) return undefined;
    }
    const reopened = this.#state === 'half-open';
    this.#state = 'open';
    this.#openedAtMs = now;
    return reopened ? undefined : 'opened';
  }
}
