const MANTISSA_BITS = 7; // 128 steps between powers of two: < 0.8 % error
const STEPS = 1 << MANTISSA_BITS;

/** Latencies in microseconds, in log-linear buckets as HdrHistogram has them. Recording costs a few nanoseconds. */
export class Histogram {
  readonly #counts = new Uint32Array(STEPS * 26); // up to about an hour
  #total = 0;
  #maxUs = 0;

  get total(): number {
    return this.#total;
  }

  record(us: number): void {
    const value = Math.max(0, Math.round(us));
    const exponent = value < STEPS ? 0 : 31 - Math.clz32(value) - MANTISSA_BITS;
    const index = value < STEPS ? value : (exponent + 1) * STEPS + (value >>> exponent) - STEPS;
    const at = Math.min(index, this.#counts.length - 1);
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#total += 1;
    if (value > this.#maxUs) this.#maxUs = value;
  }

  /** Takes over what another one holds. */
  add(other: Histogram): void {
    for (let index = 0; index < this.#counts.length; index += 1) {
      this.#counts[index] = (this.#counts[index] ?? 0) + (other.#counts[index] ?? 0);
    }
    this.#total += other.#total;
    this.#maxUs = Math.max(this.#maxUs, other.#maxUs);
  }

  /** The largest value, exactly; NaN without samples. */
  get maxMs(): number {
    return this.#total === 0 ? Number.NaN : this.#maxUs / 1_000;
  }

  /** Upper end of the bucket that holds the quantile, in milliseconds; NaN without samples. */
  quantileMs(quantile: number): number {
    if (this.#total === 0) return Number.NaN;
    const wanted = Math.max(1, Math.ceil(quantile * this.#total));
    let seen = 0;
    for (let index = 0; index < this.#counts.length; index += 1) {
      seen += this.#counts[index] ?? 0;
      if (seen >= wanted) return upperUs(index) / 1_000;
    }
    return Number.NaN;
  }
}

function upperUs(index: number): number {
  if (index < STEPS) return index;
  const exponent = Math.floor(index / STEPS) - 1;
  return ((index % STEPS) + STEPS + 1) * 2 ** exponent - 1;
}
