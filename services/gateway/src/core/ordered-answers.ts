/** Something that is answered at some time. */
export type Awaited = { settled: boolean };

const COMPACT_AT = 1_024;

/** Requests whose answers leave in the order of the requests, whenever they become known. All steps O(1), amortised. */
export class OrderedAnswers<T extends Awaited> {
  #places: (T | undefined)[] = [];
  #first = 0;

  /** Requests whose answer has not left. */
  get size(): number {
    return this.#places.length - this.#first;
  }

  push(request: T): void {
    this.#places.push(request);
  }

  /** The first request, if its answer is known; it stays first until `shift`. */
  ready(): T | undefined {
    const first = this.#places[this.#first];
    return first?.settled ? first : undefined;
  }

  /** The first request's answer has left. */
  shift(): void {
    if (this.size === 0) throw new Error('bug: an answer left that was not there');
    this.#places[this.#first] = undefined;
    this.#first += 1;
    if (this.#first === this.#places.length) {
      this.#places = [];
      this.#first = 0;
    } else if (this.#first >= COMPACT_AT && this.#first * 2 >= this.#places.length) {
      this.#places = this.#places.slice(this.#first);
      this.#first = 0;
    }
  }

  /** Removes and returns all. */
  takeAll(): T[] {
    const all = this.#places.slice(this.#first) as T[];
    this.#places = [];
    this.#first = 0;
    return all;
  }
}
