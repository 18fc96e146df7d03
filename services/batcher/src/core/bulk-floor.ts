/**
 * The share of a model's capacity that the class bulk has while higher classes never pause. It grows with the rows that leave,
 * is saved up to one batch, and buys bulk rows places in the batches of others: never a whole batch, so that vip waits no longer.
 */
export class BulkFloor {
  readonly #share: number;
  #rows = 0;

  /** @param share of all rows, 0 to 1. */
  constructor(share: number) {
    this.#share = share;
  }

  /** Synchronous rows left, of them `bulkRows` of bulk. */
  paid(rows: number, bulkRows: number, maxRows: number): void {
    this.#rows = Math.max(0, Math.min(Math.max(1, maxRows), this.#rows + rows * this.#share) - bulkRows);
  }

  /** Rows of a batch of `rows` that bulk may have before the others. One larger request waits until it is paid for. */
  placeIn(rows: number): { rows: number; firstRows: number } {
    const saved = Math.floor(this.#rows);
    return { rows: Math.min(saved, Math.ceil(this.#share * rows)), firstRows: saved };
  }

  /** A whole batch is saved: bulk that may not share a batch with the others gets one of its own. */
  full(maxRows: number): boolean {
    return this.#share > 0 && this.#rows >= Math.max(1, maxRows);
  }

  /** Rows that it may be going to buy soon: they are worth holding while higher classes fill the window. */
  windowRows(maxRows: number): number {
    return this.#share > 0 ? Math.max(1, Math.ceil(2 * this.#share * maxRows)) : 0;
  }
}
