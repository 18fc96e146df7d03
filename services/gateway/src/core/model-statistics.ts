import type { ReplyFrame, Total, VersionTotals } from '@spillway/contracts/messages';
import type { Entry } from './entry.ts';

const NS_PER_MS = 1e6;

/** Places in a version's counters; of a total the count, with its nanoseconds behind it. */
const SUCCESS = 0;
const FAIL = 2;
const QUEUE = 4;
const RUN = 6;
const CACHE_HIT = 8;
const CACHE_MISS = 10;
const ROWS = 12;
const RUNS = 13;
const LAST_MS = 14;
const PLACES = 15;

/** Arrays of doubles: adding to them makes no garbage. */
type Counters = { places: Float64Array; batches: Map<number, Float64Array> };

type Ended = Pick<Entry, 'model' | 'version' | 'rows'> & { request: { receivedAtMs: number } };
type LookedUp = Ended & Pick<Entry, 'askedAtMs'>;
type Lost = Ended & Pick<Entry, 'admitted' | 'sentAtMs'>;

/**
 * What this gateway has answered, by model and version, in the terms of Triton's statistics. Times are on the gateway's monotonic
 * clock. Refusals count nowhere here: they tell of load, not of a model.
 */
export class ModelStatistics {
  readonly #models = new Map<string, Map<string, Counters>>();

  /** A worker's answer to one request of a batch. */
  ran(entry: Ended, frame: Pick<ReplyFrame, 'batchRows' | 'runMs'>, queueMs: number, nowMs: number): void {
    const { places, batches } = this.#counters(entry);
    const batchRows = Math.max(frame.batchRows, entry.rows);
    const share = entry.rows / batchRows;
    this.#success(places, entry, nowMs);
    add(places, QUEUE, 1, queueMs);
    add(places, RUN, 1, frame.runMs);
    increase(places, ROWS, entry.rows);
    increase(places, RUNS, share);
    let batch = batches.get(batchRows);
    if (batch === undefined) {
      batch = new Float64Array(2);
      batches.set(batchRows, batch);
    }
    add(batch, 0, share, frame.runMs * share);
  }

  /** Answered by the cache. It waited in no queue, and counts there all the same, as at Triton. */
  hit(entry: LookedUp, nowMs: number): void {
    const { places } = this.#counters(entry);
    this.#success(places, entry, nowMs);
    add(places, QUEUE, 1, 0);
    add(places, CACHE_HIT, 1, nowMs - entry.askedAtMs);
  }

  missed(entry: LookedUp, nowMs: number): void {
    add(this.#counters(entry).places, CACHE_MISS, 1, nowMs - entry.askedAtMs);
  }

  /**
   * Ended without an answer. One that was not admitted is a refusal and is not counted.
   * @param queueMs As the worker said; without it the whole time since the request was sent, if it was.
   */
  failed(entry: Lost, nowMs: number, queueMs = nowMs - entry.sentAtMs): void {
    if (!entry.admitted) return;
    const { places } = this.#counters(entry);
    add(places, FAIL, 1, nowMs - entry.request.receivedAtMs);
    if (entry.sentAtMs > 0) add(places, QUEUE, 1, queueMs);
  }

  /** All that was counted. @param epochOffsetMs Milliseconds since the epoch at the zero of the monotonic clock. */
  totals(epochOffsetMs: number): VersionTotals[] {
    const totals: VersionTotals[] = [];
    for (const [model, versions] of this.#models) {
      for (const [version, counters] of versions) totals.push(totalsOf(model, version, counters, epochOffsetMs));
    }
    return totals;
  }

  #success(places: Float64Array, { request }: Ended, nowMs: number): void {
    add(places, SUCCESS, 1, nowMs - request.receivedAtMs);
    places[LAST_MS] = nowMs;
  }

  #counters({ model: { model }, version }: Ended): Counters {
    let versions = this.#models.get(model);
    if (versions === undefined) {
      versions = new Map();
      this.#models.set(model, versions);
    }
    let counters = versions.get(version);
    if (counters === undefined) {
      counters = { places: new Float64Array(PLACES), batches: new Map() };
      versions.set(version, counters);
    }
    return counters;
  }
}

function increase(places: Float64Array, place: number, by: number): void {
  places[place] = (places[place] as number) + by;
}

function add(places: Float64Array, place: number, count: number, ms: number): void {
  increase(places, place, count);
  increase(places, place + 1, ms * NS_PER_MS);
}

const totalAt = (places: Float64Array, place: number): Total => ({
  count: places[place] as number,
  ns: places[place + 1] as number,
});

function totalsOf(model: string, version: string, counters: Counters, epochOffsetMs: number): VersionTotals {
  const { places, batches } = counters;
  const lastMs = places[LAST_MS] as number;
  return {
    model,
    version,
    lastInferenceMs: lastMs === 0 ? 0 : lastMs + epochOffsetMs,
    rows: places[ROWS] as number,
    runs: places[RUNS] as number,
    success: totalAt(places, SUCCESS),
    fail: totalAt(places, FAIL),
    queue: totalAt(places, QUEUE),
    run: totalAt(places, RUN),
    cacheHit: totalAt(places, CACHE_HIT),
    cacheMiss: totalAt(places, CACHE_MISS),
    batches: [...batches].map(([rows, batch]) => ({ rows, run: totalAt(batch, 0) })),
  };
}
