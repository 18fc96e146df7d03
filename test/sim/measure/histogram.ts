const STEPS_PER_E = 400; // neighbours differ by 0.25 %
const LEAST_MS = 0.01;
const BUCKETS = Math.ceil(Math.log(10_000_000) * STEPS_PER_E);

/** Latencies in logarithmic buckets of 0.25 %. */
export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS);
  n = 0;

  add(ms: number): void {
    const bucket = ms <= LEAST_MS ? 0 : Math.round(Math.log(ms / LEAST_MS) * STEPS_PER_E);
    const place = Math.min(BUCKETS - 1, bucket);
    this.#counts[place] = (this.#counts[place] as number) + 1;
    this.n += 1;
  }

  /** ms, within 0.13 %; NaN when empty. */
  quantile(share: number): number {
    if (this.n === 0) return Number.NaN;
    let left = Math.max(1, Math.ceil(share * this.n));
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      left -= this.#counts[bucket] as number;
      if (left <= 0) return LEAST_MS * Math.exp(bucket / STEPS_PER_E);
    }
    return Number.POSITIVE_INFINITY;
  }

  addAll(other: Histogram): this {
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      this.#counts[bucket] = (this.#counts[bucket] as number) + (other.#counts[bucket] as number);
    }
    this.n += other.n;
    return this;
  }
}
