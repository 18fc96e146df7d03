/** A promise that the test opens: what waits at it goes on exactly then. */
export class Gate<T = void> {
  readonly #resolvers = Promise.withResolvers<T>();
  #isOpen = false;

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Await this where the code under test shall stand still. */
  get passed(): Promise<T> {
    return this.#resolvers.promise;
  }

  open(value: T): void {
    this.#isOpen = true;
    this.#resolvers.resolve(value);
  }

  fail(error: Error): void {
    this.#resolvers.reject(error);
  }
}

/** Waits until `count` arrivals were counted: for tests that need to know that N callers stand at a point. */
export class Arrivals {
  #count = 0;
  readonly #waiting: { count: number; resolve: () => void }[] = [];

  get count(): number {
    return this.#count;
  }

  arrive(): void {
    this.#count += 1;
    for (const waiter of this.#waiting) if (this.#count >= waiter.count) waiter.resolve();
  }

  reached(count: number): Promise<void> {
    if (this.#count >= count) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push({ count, resolve });
    });
  }
}
