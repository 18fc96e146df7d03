/** Numbers by slices of time, growing as later ones come. */
export class Series {
  #values = new Float64Array(256);
  #length = 0;

  /** Slices from 0 to the last that was written. */
  get length(): number {
    return this.#length;
  }

  at(index: number): number {
    return index < this.#length ? (this.#values[index] as number) : 0;
  }

  add(index: number, amount: number): void {
    if (index >= this.#values.length) {
      const larger = new Float64Array(Math.max(index + 1, 2 * this.#values.length));
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[index] = (this.#values[index] as number) + amount;
    if (index >= this.#length) this.#length = index + 1;
  }

  /** Sum of the slices from `from` to before `to`. */
  sum(from = 0, to = this.#length): number {
    let sum = 0;
    for (let index = Math.max(0, from); index < Math.min(to, this.#length); index += 1) {
      sum += this.#values[index] as number;
    }
    return sum;
  }
}
