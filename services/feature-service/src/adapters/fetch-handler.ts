import type { FeatureFetch, FeatureRows } from '@spillway/contracts/messages';
import type { Clock } from '@spillway/lifecycle/clock';
import type { InFlight } from '@spillway/lifecycle/in-flight';
import { PendingFetch } from '../core/pending-fetch.ts';
import { checkFetch, type FetchLimits } from '../core/validate-fetch.ts';
import type { FetchTelemetry } from '../telemetry.ts';
import type { RoundTrip, ViewFetcher } from './view-fetcher.ts';

export type FetchHandlerOptions = {
  fetchers: ReadonlyMap<string, ViewFetcher>;
  limits: FetchLimits;
  clock: Clock;
  inFlight: InFlight;
  telemetry: FetchTelemetry;
};

/** Answers single fetches: all views in parallel, and defaults when the caller's budget ends first. */
export class FetchHandler {
  readonly #options: FetchHandlerOptions;

  constructor(options: FetchHandlerOptions) {
    this.#options = options;
  }

  /** `answer` is called once, at once or later, and must not throw. */
  handle(fetch: FeatureFetch, answer: (rows: FeatureRows) => void): void {
    const { fetchers, limits, clock, telemetry } = this.#options;
    const startMs = clock.now();
    const fault = checkFetch(fetch, fetchers, limits);
    if (fault !== undefined) {
      telemetry.refused(fetch, fault, startMs);
      answer({ id: fetch.id, views: [], errorCode: fault.code, errorMessage: fault.message });
      return;
    }
    this.#fetch(fetch, startMs, answer);
  }

  #fetch(fetch: FeatureFetch, startMs: number, answer: (rows: FeatureRows) => void): void {
    const { inFlight, telemetry } = this.#options;
    const asked = fetch.views
      .map((view) => this.#options.fetchers.get(view))
      .filter((fetcher) => fetcher !== undefined);
    const pending = new PendingFetch(
      fetch,
      asked.map((fetcher) => fetcher.view),
    );
    const trips: RoundTrip[] = [];
    let timer: NodeJS.Timeout | undefined;
    const completed = () => {
      clearTimeout(timer);
      inFlight.end();
      telemetry.answered(fetch, startMs, trips);
      answer(pending.answer());
    };
    inFlight.begin();
    for (const [index, fetcher] of asked.entries()) {
      fetcher.push({
        entities: fetch.entities,
        get settled() {
          return pending.isSettled(index);
        },
        answer: (block, rows, trip) => {
          pending.settle(index, block, rows);
          trips.push(trip);
          if (pending.isComplete) completed();
        },
      });
    }
    // Most budgets are longer than the sources may take: then they need no timer. 0 is a caller that gave none.
    const longestMs = Math.max(...asked.map((fetcher) => fetcher.longestMs));
    if (pending.isComplete || fetch.budgetMs <= 0 || fetch.budgetMs >= longestMs) return;
    timer = setTimeout(() => {
      pending.settleRest();
      completed();
    }, Math.floor(fetch.budgetMs));
  }
}
