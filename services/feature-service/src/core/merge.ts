import type { Clock } from '@spillway/lifecycle/clock';

export type MergeRules = {
  clock: Clock;
  /** Least time between two round trips of a view that more than one caller uses. */
  windowMs: number;
  /** Entities collected before a round trip leaves without waiting for the window. */
  maxEntities: number;
  /** Round trips at once. More than one only when a source is slow or the entities are many. */
  maxInFlight: number;
};

/** `settled` calls have been answered meanwhile (their budget ended) and are left out. */
export type MergeCall = { readonly entities: readonly string[]; readonly settled: boolean };

/** One round trip: unique entities, and for each call the positions of its entities among them. */
export type Merged<C> = { entities: string[]; calls: { call: C; rows: number[] }[] };

/** A round trip under way holds the next one back for this many windows, then it counts as slow and is overtaken. */
const SLOW_WINDOWS = 2;

/**
 * Decides which fetches of one view share a round trip, and when it leaves.
 *
 * - A view without a round trip in the last window: at once, so that a quiet service adds no latency.
 * - A caller that is alone, twice in a window at most: at once. Whoever asks one after the other (his next call follows
 *   the answer) is not slowed down by a pace that exists for the many.
 * - Else one window after the last departure, and not while a round trip is under way, unless that one is slow.
 * - A full load of entities: at once.
 *
 * So n callers within t ms cause at most 2 + ⌈t / window⌉ round trips, however large n is. Holds no timer: the shell asks
 * `due()`.
 */
export class Merge<C extends MergeCall> {
  readonly #rules: MergeRules;
  #waiting: C[] = [];
  #waitingEntities = 0; // not unique: an upper bound that costs nothing
  #inFlight = 0;
  #lastAtMs = Number.NEGATIVE_INFINITY;
  #beforeAtMs = Number.NEGATIVE_INFINITY; // the departure before the last
  #lastCalls = 0;

  constructor(rules: MergeRules) {
    this.#rules = rules;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  push(call: C): void {
    this.#waiting.push(call);
    this.#waitingEntities += call.entities.length;
  }

  /** Milliseconds until the next round trip should leave; Infinity: nothing waits, or all places under way are taken. */
  dueInMs(): number {
    if (this.#waiting.length === 0 || this.#inFlight >= this.#rules.maxInFlight) return Number.POSITIVE_INFINITY;
    if (this.#waitingEntities >= this.#rules.maxEntities) return 0;
    return Math.max(0, this.#leavesAtMs() - this.#rules.clock.now());
  }

  #leavesAtMs(): number {
    const { windowMs } = this.#rules;
    if (this.#inFlight > 0) return this.#lastAtMs + SLOW_WINDOWS * windowMs;
    const alone = this.#waiting.length === 1 && this.#lastCalls === 1;
    return (alone ? this.#beforeAtMs : this.#lastAtMs) + windowMs;
  }

  /**
   * The next round trip, whole calls in order of arrival; `finished()` must follow it. Undefined: nothing is due.
   * A call alone may exceed `maxEntities`; that it does not is for the border to check. O(entities).
   */
  take(): Merged<C> | undefined {
    if (this.dueInMs() > 0) return undefined;
    const positions = new Map<string, number>();
    const calls: { call: C; rows: number[] }[] = [];
    let taken = 0;
    for (const call of this.#waiting) {
      if (calls.length > 0 && positions.size + call.entities.length > this.#rules.maxEntities) break;
      taken += 1;
      this.#waitingEntities -= call.entities.length;
      if (!call.settled) calls.push({ call, rows: call.entities.map((entity) => position(positions, entity)) });
    }
    this.#waiting = this.#waiting.slice(taken);
    if (calls.length === 0) return undefined;
    this.#beforeAtMs = this.#lastAtMs;
    this.#lastAtMs = this.#rules.clock.now();
    this.#lastCalls = calls.length;
    this.#inFlight += 1;
    return { entities: [...positions.keys()], calls };
  }

  /** A round trip that was taken has ended, however it did. */
  finished(): void {
    if (this.#inFlight === 0) throw new Error('bug: a round trip finished that was never taken');
    this.#inFlight -= 1;
  }
}

function position(positions: Map<string, number>, entity: string): number {
  const known = positions.get(entity);
  if (known !== undefined) return known;
  const next = positions.size;
  positions.set(entity, next);
  return next;
}
