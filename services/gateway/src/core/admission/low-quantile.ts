/** Relative step: a hundred samples or so decide. */
const STEP = 0.02;
const QUANTILE = 0.1;

/** The 10th percentile of positive numbers in one number: each sample moves it a little (Frugal streaming, Ma, Muthukrishnan, Sandler 2013). */
export class LowQuantile {
  #value: number;

  constructor(first: number) {
    this.#value = first;
  }

  get value(): number {
    return this.#value;
  }

  observe(sample: number): void {
    if (sample > this.#value) this.#value = Math.min(sample, this.#value * (1 + STEP * QUANTILE));
    else if (sample < this.#value) this.#value = Math.max(sample, this.#value * (1 - STEP * (1 - QUANTILE)));
  }
}
