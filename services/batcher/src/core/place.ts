import type { Queued } from './class-lists.ts';
import type { BatchRules } from './model-rules.ts';
import type { Prediction } from './run-time.ts';

/** The instance that a batch is formed for. */
export type Place<T> = {
  /** Until it can begin: a batch may be running there. */
  startInMs: number;
  /**
   * Of batches of a variant. Not trusted: nothing was measured lately; then nothing is dropped or cut on the prediction's word,
   * else a wrong one could last for ever.
   */
  predict(variant: string): Prediction;
  /** The one that would end a request first; absent: this one. What is late here and not there is left to it, not dropped. */
  soonest?: Place<T> | undefined;
  /** Absent: it serves every request of the model. */
  serves?: ((entry: T) => boolean) | undefined;
};

/** Which requests could not make it even alone, or may not wait any longer. Made for one look over the queue. */
export class Lateness {
  readonly #rules: BatchRules;
  readonly #place: Place<never> | undefined;
  readonly #nowMs: number;
  #variant: string | undefined;
  /** Of a batch of this variant that leaves now: when it ends, without and for each of its rows. */
  #endsAtMs: number;
  #rowMs = 0;

  /** @param place Undefined: no instance is known, only what is over counts. */
  constructor(rules: BatchRules, place: Place<never> | undefined, nowMs: number) {
    this.#rules = rules;
    this.#place = place;
    this.#nowMs = nowMs;
    this.#endsAtMs = nowMs;
  }

  is({ rank, variant, rows, deadlineMs, sinceMs }: Queued): boolean {
    if (variant !== this.#variant) this.#predict(variant);
    if (deadlineMs <= this.#nowMs || this.#endsAtMs + this.#rowMs * rows > deadlineMs) return true;
    const policy = this.#rules.policies[rank];
    return policy !== undefined && policy.timeoutAction === 'reject' && this.#nowMs - sinceMs >= policy.timeoutMs;
  }

  #predict(variant: string): void {
    this.#variant = variant;
    const { startInMs = 0 } = this.#place ?? {};
    const { trusted = false, baseMs = 0, rowMs = 0 } = this.#place?.predict(variant) ?? {};
    this.#endsAtMs = trusted ? this.#nowMs + startInMs + baseMs + this.#rules.replyMarginMs : this.#nowMs;
    this.#rowMs = trusted ? rowMs : 0;
  }
}
