import { classRank } from '@spillway/contracts/classes';
import type { Route, WorkItem } from '@spillway/contracts/messages';
import type { Admission } from './admission/admission.ts';
import type { Entry } from './entry.ts';

export type Resubmission = { entry: Entry; item: WorkItem; route: Route };
export type ResubmissionRules = Pick<Admission, 'resubmitAfterMs' | 'mayResubmit'>;

/**
 * Requests whose deadline is too short to wait until JetStream gives them to another batcher. Each is sent again once when its
 * answer is overdue and still fits: the first copy was probably lost with its batcher.
 */
export class Resubmissions {
  readonly #rules: ResubmissionRules;
  #watched: (Resubmission & { dueMs: number })[] = [];

  constructor(rules: ResubmissionRules) {
    this.#rules = rules;
  }

  get watched(): number {
    return this.#watched.length;
  }

  /** It has just been sent. */
  watch(entry: Entry, item: WorkItem, route: Route): void {
    const { request, model, deadlineMs, sentAtMs, predictedFinishMs } = entry;
    const rank = classRank(request.trafficClass);
    const afterMs = this.#rules.resubmitAfterMs(model.model, rank, deadlineMs - sentAtMs, predictedFinishMs);
    if (afterMs < Number.POSITIVE_INFINITY) this.#watched.push({ entry, item, route, dueMs: sentAtMs + afterMs });
  }

  /** Those to be sent again now. `waits`: it has no answer yet. O(watched). */
  take(nowMs: number, waits: (entry: Entry) => boolean): Resubmission[] {
    if (this.#watched.length === 0) return [];
    const due: Resubmission[] = [];
    this.#watched = this.#watched.filter((watched) => {
      const { entry } = watched;
      if (!waits(entry)) return false;
      if (watched.dueMs > nowMs) return true;
      const rank = classRank(entry.request.trafficClass);
      if (this.#rules.mayResubmit(entry.model.model, rank, entry.deadlineMs - nowMs, nowMs)) due.push(watched);
      return false;
    });
    return due;
  }
}
