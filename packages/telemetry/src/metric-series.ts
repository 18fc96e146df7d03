/** Values of a metric's labels. */
export type Labels = { readonly [label: string]: string };

/** What prom-client's registry writes as one line; it formats `sharedLabels` once per object and keeps the text. */
export type Sample = {
  labels: { [label: string]: string | number };
  sharedLabels: Labels;
  value: number;
  metricName?: string;
};

/** One line of `/metrics` in the making, or for a histogram its lines. */
export interface Series {
  samples(name: string): Sample[];
}

export class CounterSeries implements Series {
  readonly #labels: Labels;
  #value = 0;

  constructor(labels: Labels) {
    this.#labels = labels;
  }

  /** Ignores negative numbers and NaN: a counter that falls reads as a restart, and NaN would stay for ever. */
  inc(by = 1): void {
    if (by >= 0) this.#value += by;
  }

  samples(): Sample[] {
    return [{ labels: {}, sharedLabels: this.#labels, value: this.#value }];
  }
}

export class GaugeSeries implements Series {
  readonly #labels: Labels;
  #value = 0;

  constructor(labels: Labels) {
    this.#labels = labels;
  }

  set(value: number): void {
    this.#value = value;
  }

  add(by: number): void {
    this.#value += by;
  }

  samples(): Sample[] {
    return [{ labels: {}, sharedLabels: this.#labels, value: this.#value }];
  }
}

export class HistogramSeries implements Series {
  readonly #labels: Labels;
  readonly #bounds: readonly number[];
  /** One more than bounds, not cumulative: that is done when rendered. */
  readonly #counts: number[];
  #sum = 0;

  /** @param bounds Ascending; shared by the series of a metric. */
  constructor(labels: Labels, bounds: readonly number[]) {
    this.#labels = labels;
    this.#bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  /** Linear: with 15 bounds and most values in the lower ones as fast as a binary search. */
  observe(value: number): void {
    if (!Number.isFinite(value)) return; // one NaN would spoil the sum until the process ends
    const bounds = this.#bounds;
    let index = 0;
    while (index < bounds.length && value > bounds[index]!) index += 1;
    this.#counts[index]! += 1;
    this.#sum += value;
  }

  samples(name: string): Sample[] {
    let count = 0;
    const buckets = this.#counts.map((inBucket, index): Sample => {
      count += inBucket;
      return this.#sample(`${name}_bucket`, { le: this.#bounds[index] ?? '+Inf' }, count);
    });
    return [...buckets, this.#sample(`${name}_sum`, {}, this.#sum), this.#sample(`${name}_count`, {}, count)];
  }

  #sample(metricName: string, labels: Sample['labels'], value: number): Sample {
    return { metricName, labels, sharedLabels: this.#labels, value };
  }
}
