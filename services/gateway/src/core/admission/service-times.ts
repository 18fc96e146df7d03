import type { BatcherLoad } from '@spillway/contracts/messages';
import type { Sender } from './senders.ts';

/** T̂(rows) = baseMs + rowMs · rows of a variant; `slow` × T̂ is its 95th percentile. */
type Line = { baseMs: number; rowMs: number; slow: number };

const lineOf = (load: BatcherLoad, variant: string): BatcherLoad['runTimes'][number] | undefined =>
  load.runTimes.find((time) => time.variant === variant);

/** What all batchers together say about a model's capacity and run times. Means are weighted by capacity. */
export class ServiceTimes {
  /** ims per ms after the correction, of batchers that speak. */
  capacity = 0;
  healthy = 0;
  suspect = 0;
  /** B*: rows of the batch that capacity is counted at. */
  operatingRows = 1;
  fill = 0;
  hopMs = 0;
  /** True once any batcher has told a run time: before, costs cannot be told. */
  known = false;
  /** 0: no batcher has seen a request. */
  #costPerRow = 0;
  readonly #lines = new Map<string, Line>();

  update(batchers: readonly Sender<BatcherLoad>[]): void {
    this.capacity = 0;
    this.healthy = 0;
    this.suspect = 0;
    this.hopMs = 0;
    for (const { live, load } of batchers) {
      if (!live) continue;
      this.capacity += positive(load.capacity);
      this.healthy += load.healthy;
      this.suspect += load.suspect;
      this.hopMs = Math.max(this.hopMs, positive(load.hopMs));
    }
    const telling = batchers.filter(({ load }) => load.operatingRows > 0 && lineOf(load, '') !== undefined);
    const speaking = telling.filter(({ live }) => live);
    this.#average(speaking.length > 0 ? speaking : telling);
  }

  /** ms of a run of so many rows; of an unknown variant the full model's. */
  runMs(variant: string, rows: number): number {
    const line = this.#lines.get(variant) ?? this.#lines.get('');
    return line === undefined ? 0 : line.baseMs + line.rowMs * rows;
  }

  /** Its 95th percentile. */
  slowRunMs(variant: string, rows: number): number {
    const line = this.#lines.get(variant) ?? this.#lines.get('');
    return line === undefined ? 0 : (line.baseMs + line.rowMs * rows) * line.slow;
  }

  /**
   * Of a request, in a batch of the operating size: by its rows until what they cost in the mean is known, and its cost itself until
   * a run time is.
   */
  imsOf(variant: string, { cost, rows }: { cost: number; rows: number }): number {
    if (!this.known) return cost;
    return this.imsPerRow(variant) * (this.#costPerRow > 0 ? cost / this.#costPerRow : rows);
  }

  imsPerRow(variant: string): number {
    return this.runMs(variant, this.operatingRows) / this.operatingRows;
  }

  #average(batchers: readonly Sender<BatcherLoad>[]): void {
    if (batchers.length === 0) return; // the last word holds
    this.known = true;
    let weights = 0;
    let operatingRows = 0;
    let fill = 0;
    let costPerRow = 0;
    let costWeights = 0;
    const sums = new Map<string, Line & { weight: number }>();
    for (const { load } of batchers) {
      const weight = Math.max(1e-3, positive(load.capacity));
      weights += weight;
      operatingRows += weight * load.operatingRows;
      fill += weight * positive(load.fill);
      if (load.costPerRow > 0) {
        costPerRow += weight * load.costPerRow;
        costWeights += weight;
      }
      for (const { variant, baseMs, rowMs, cv } of load.runTimes) {
        const sum = sums.get(variant) ?? { baseMs: 0, rowMs: 0, slow: 0, weight: 0 };
        sum.baseMs += weight * positive(baseMs);
        sum.rowMs += weight * positive(rowMs);
        sum.slow += weight * (1 + 2 * Math.min(1, positive(cv)));
        sum.weight += weight;
        sums.set(variant, sum);
      }
    }
    this.operatingRows = Math.max(1, Math.round(operatingRows / weights));
    this.fill = Math.min(1, fill / weights);
    this.#costPerRow = costWeights > 0 ? costPerRow / costWeights : 0;
    this.#lines.clear();
    for (const [variant, { baseMs, rowMs, slow, weight }] of sums) {
      this.#lines.set(variant, { baseMs: baseMs / weight, rowMs: Math.max(1e-4, rowMs / weight), slow: slow / weight });
    }
  }
}

/** A number from the wire that must not be negative, NaN or infinite. */
const positive = (value: number): number => (value > 0 && value < Number.POSITIVE_INFINITY ? value : 0);
