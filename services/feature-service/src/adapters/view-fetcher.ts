import type { Breaker, BreakerChange } from '@spillway/lifecycle/breaker';
import type { Clock, WallClock } from '@spillway/lifecycle/clock';
import { within } from '@spillway/lifecycle/within';
import { assembleRows, type Block, defaultRows } from '../core/assemble.ts';
import type { FeatureSource, FeatureView } from '../core/feature-view.ts';
import { Merge, type MergeCall, type Merged } from '../core/merge.ts';

/** `ok`; `timeout`, `error`: defaults stood in; `open`: so they did, and the source was not asked. */
export type Outcome = 'ok' | 'timeout' | 'error' | 'open';

/** What happened to the source on behalf of `calls` callers. Times on the monotonic clock. */
export type RoundTrip = {
  view: FeatureView;
  outcome: Outcome;
  startMs: number;
  endMs: number;
  entities: number;
  calls: number;
  error?: Error;
  /** What this round trip did to the source's breaker. */
  breaker?: BreakerChange;
};

/** `answer` is called once unless the call is settled before; row i is `rows[i]` of the block. Must not throw. */
export type ViewCall = MergeCall & { answer(block: Block, rows: readonly number[], trip: RoundTrip): void };

export type ViewFetcherOptions = {
  view: FeatureView;
  source: FeatureSource;
  /** Shared by the views of a source. */
  breaker: Breaker;
  clock: Clock;
  wallClock: WallClock;
  rules: { windowMs: number; maxEntities: number; maxInFlight: number };
  /** Each time callers are about to be answered; the block is shared with them. */
  onTrip: (trip: RoundTrip, block: Block) => void;
};

/** Asks one view's source on behalf of all callers: owns the timer that `Merge` asks for, and the source's time limit. */
export class ViewFetcher implements Disposable {
  readonly view: FeatureView;
  readonly #options: ViewFetcherOptions;
  readonly #merge: Merge<ViewCall>;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #armedForMs = Number.POSITIVE_INFINITY;

  constructor(options: ViewFetcherOptions) {
    this.view = options.view;
    this.#options = options;
    this.#merge = new Merge({ clock: options.clock, ...options.rules });
  }

  /** Longest time until `answer` is called, ms: waiting for a place under way, then for the source. */
  get longestMs(): number {
    return Math.max(2 * this.#options.rules.windowMs, this.view.timeoutMs) + this.view.timeoutMs;
  }

  push(call: ViewCall): void {
    if (this.#options.breaker.blocks()) {
      const now = this.#options.clock.now();
      const lone = { entities: [...call.entities], calls: [{ call, rows: [...call.entities.keys()] }] };
      this.#answerDefaults(lone, this.#trip(lone, 'open', now));
      return;
    }
    this.#merge.push(call);
    this.#arm();
  }

  /** One timer, moved only to an earlier time; one that fires too early finds nothing due and is set again. */
  #arm(): void {
    const inMs = this.#merge.dueInMs();
    const atMs = this.#options.clock.now() + inMs;
    if (inMs === Number.POSITIVE_INFINITY || atMs >= this.#armedForMs) return;
    this.#disarm();
    this.#armedForMs = atMs;
    // At the end of this turn of the loop, so that calls which arrived in the same turn leave together.
    if (inMs === 0) this.#immediate = setImmediate(() => this.#leave());
    else this.#timer = setTimeout(() => this.#leave(), Math.ceil(inMs));
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#armedForMs = Number.POSITIVE_INFINITY;
  }

  #leave(): void {
    this.#disarm();
    for (let merged = this.#merge.take(); merged !== undefined; merged = this.#merge.take())
      void this.#roundTrip(merged);
    this.#arm();
  }

  async #roundTrip(merged: Merged<ViewCall>): Promise<void> {
    const { breaker, clock, source, wallClock } = this.#options;
    const startMs = clock.now();
    if (!breaker.allow()) {
      this.#merge.finished();
      this.#answerDefaults(merged, this.#trip(merged, 'open', startMs));
      return;
    }
    const answers = await within(source.fetch(this.view, merged.entities), this.view.timeoutMs, LATE).catch(asError);
    this.#merge.finished();
    if (answers instanceof Error) {
      const trip = this.#trip(merged, answers === LATE ? 'timeout' : 'error', startMs);
      this.#answerDefaults(merged, { ...trip, error: answers, breaker: breaker.failed() });
    } else {
      const trip: RoundTrip = { ...this.#trip(merged, 'ok', startMs), breaker: breaker.succeeded() };
      this.#answer(merged, assembleRows(this.view, answers, wallClock.epochMs()), trip);
    }
    this.#arm();
  }

  #trip(merged: Merged<ViewCall>, outcome: Outcome, startMs: number): RoundTrip {
    const { entities, calls } = merged;
    const endMs = this.#options.clock.now();
    return { view: this.view, outcome, startMs, endMs, entities: entities.length, calls: calls.length };
  }

  #answerDefaults(merged: Merged<ViewCall>, trip: RoundTrip): void {
    this.#answer(merged, defaultRows(this.view, merged.entities.length), trip);
  }

  #answer(merged: Merged<ViewCall>, block: Block, trip: RoundTrip): void {
    this.#options.onTrip(trip, block);
    for (const { call, rows } of merged.calls) if (!call.settled) call.answer(block, rows, trip);
  }

  [Symbol.dispose](): void {
    this.#disarm();
  }
}

const LATE = new Error('the source did not answer in time');

const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));
