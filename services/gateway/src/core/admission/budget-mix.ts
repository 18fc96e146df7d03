const PER_DOUBLING = 4;
/** Up to about two minutes; all longer budgets count as one. */
const BUCKETS = 17 * PER_DOUBLING;
/** After a tick: half of the work that is remembered is younger than 0.7 s. */
const KEPT = 0.95;

const bucketOf = (budgetMs: number): number =>
  Math.min(BUCKETS - 1, Math.floor(PER_DOUBLING * Math.log2(Math.max(1, budgetMs))));

/**
 * The budgets with which work of one class was admitted lately. Inside a class the earliest deadline goes first, so a request with
 * a short budget does not wait for those with long ones.
 */
export class BudgetMix {
  readonly #work = new Float64Array(BUCKETS);
  readonly #upTo = new Float64Array(BUCKETS).fill(1);

  admitted(budgetMs: number, costIms: number): void {
    this.#work[bucketOf(budgetMs)]! += costIms;
  }

  /** Share of the work whose budget was at most this long, 0 to 1; 1 while nothing is known. */
  upTo(budgetMs: number): number {
    return this.#upTo[bucketOf(budgetMs)]!;
  }

  tick(): void {
    let all = 0;
    for (let n = 0; n < BUCKETS; n += 1) {
      this.#work[n]! *= KEPT;
      all += this.#work[n]!;
      this.#upTo[n] = all;
    }
    if (all > 1e-6) for (let n = 0; n < BUCKETS; n += 1) this.#upTo[n]! /= all;
    else this.#upTo.fill(1);
  }
}
