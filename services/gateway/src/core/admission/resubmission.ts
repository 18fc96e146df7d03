import { RetryBudget } from '@spillway/errors/retry-budget';
import type { ModelView } from './model-view.ts';

/** Answers that pay for one resubmission. */
const PER_ANSWER = 0.01;
const LEAST_TOKENS = 100;
const LEAST_ACK_WAIT_MS = 250;

/**
 * Sending a request again that a dying batcher has probably lost: JetStream would deliver it again only after its
 * acknowledgement is overdue, which is too late for a short deadline. Once, with the same id: the copy that comes back later can
 * no longer finish.
 */
export class Resubmission {
  readonly #budget = new RetryBudget({ tokens: LEAST_TOKENS, perSuccess: PER_ANSWER });

  /**
   * How long after its publication a request that has no answer is worth sending again; Infinity: it is not, because it is bulk or
   * the stream delivers it again in time.
   */
  afterMs(view: ModelView, rank: number, budgetMs: number, predictedFinishMs: number): number {
    if (rank > 1 || !(view.capacity > 0)) return Number.POSITIVE_INFINITY;
    const runMs = view.times.runMs('', view.times.operatingRows);
    const ackWaitMs = Math.max(LEAST_ACK_WAIT_MS, 3 * runMs);
    if (budgetMs >= ackWaitMs + predictedFinishMs) return Number.POSITIVE_INFINITY;
    const dueMs = Math.max(2 * predictedFinishMs, predictedFinishMs + runMs);
    return dueMs + predictedFinishMs < budgetMs ? dueMs : Number.POSITIVE_INFINITY;
  }

  /** Whether it still fits and the budget pays; if so it is paid. */
  spend(view: ModelView, rank: number, budgetMs: number, nowMs: number): boolean {
    const { times } = view;
    const runMs = times.slowRunMs('', times.operatingRows);
    if (view.queueMs(rank, nowMs) + runMs + view.hopMs > budgetMs) return false;
    return this.#budget.spend();
  }

  answered(view: ModelView): void {
    this.#budget.limit(Math.max(LEAST_TOKENS, 4 * view.times.operatingRows * view.times.healthy));
    this.#budget.succeeded();
  }
}
