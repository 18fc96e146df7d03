import type { Clock } from '@spillway/lifecycle/clock';

const AT_LEAST_EVERY_MS = 1_000;

/**
 * The share of a model's capacity that durable jobs have even while synchronous work never stops: delayed, never starved. It is
 * earned by the synchronous rows that left, and paid out as a full batch after enough of them or, for a slow trickle, as a small
 * one each second.
 */
export class JobsFloor {
  readonly #clock: Clock;
  readonly #share: number;
  #earnedRows = 0;
  #lastMs: number;

  /** @param share of all rows, 0 to 1. */
  constructor(clock: Clock, share: number) {
    this.#clock = clock;
    this.#share = share;
    this.#lastMs = clock.now();
  }

  /** Synchronous rows left. Nothing is saved up beyond one full batch. */
  earn(rows: number, maxRows: number): void {
    this.#earnedRows = Math.min(Math.max(1, maxRows), this.#earnedRows + rows * this.#share);
  }

  /** Rows of jobs that may leave now although synchronous rows wait; 0: not yet. */
  dueRows(maxRows: number): number {
    const rows = Math.floor(this.#earnedRows);
    if (rows < 1) return 0;
    return rows >= maxRows || this.#clock.now() - this.#lastMs >= AT_LEAST_EVERY_MS ? rows : 0;
  }

  /** Jobs left, on this floor or on free capacity. */
  spend(rows: number): void {
    this.#earnedRows = Math.max(0, this.#earnedRows - rows);
    this.#lastMs = this.#clock.now();
  }
}
