import type { Clock } from '@spillway/lifecycle/clock';

/** As long as a frame may be under way; a cancelled request that comes later has long expired. */
const KEPT_FOR_MS = 10_000;
/** Of two generations; beyond it the oldest are forgotten, and their requests run for nobody. */
const MOST_OF_A_GENERATION = 16_384;

type Generation = { byGateway: Map<string, Map<number, number>>; size: number; sinceMs: number };

/**
 * Cancels of requests whose frame has not come yet: most of a queue waits in the stream, so most callers who leave do it there.
 * A cancel counts only for frames sent before it came: a gateway that restarts counts its requests from the beginning.
 */
export class Cancelled {
  readonly #clock: Clock;
  #current: Generation;
  #previous: Generation;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#current = this.#generation();
    this.#previous = this.#generation();
  }

  add(gateway: string, seqs: readonly number[]): void {
    this.#rotate();
    const nowMs = this.#clock.now();
    let bySeq = this.#current.byGateway.get(gateway);
    if (bySeq === undefined) {
      bySeq = new Map();
      this.#current.byGateway.set(gateway, bySeq);
    }
    for (const seq of seqs) bySeq.set(seq, nowMs);
    this.#current.size += seqs.length;
  }

  /** The test for the requests of one frame; undefined (the usual case): none of this gateway is cancelled. */
  of(gateway: string, sentAtMs: number): ((seq: number) => boolean) | undefined {
    this.#rotate();
    const current = this.#current.byGateway.get(gateway);
    const previous = this.#previous.byGateway.get(gateway);
    if (current === undefined && previous === undefined) return undefined;
    return (seq) => (current?.get(seq) ?? previous?.get(seq) ?? Number.NEGATIVE_INFINITY) > sentAtMs;
  }

  #generation(): Generation {
    return { byGateway: new Map(), size: 0, sinceMs: this.#clock.now() };
  }

  #rotate(): void {
    const old = this.#clock.now() - this.#current.sinceMs >= KEPT_FOR_MS;
    if (!old && this.#current.size < MOST_OF_A_GENERATION) return;
    this.#previous = this.#current;
    this.#current = this.#generation();
  }
}
