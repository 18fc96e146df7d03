import type { Clock } from '@spillway/lifecycle/clock';
import { BatchQueue, type BatchRules, type Place, type Taken } from './batch-queue.ts';
import type { Credits, Slot } from './credits.ts';
import { JobsFloor } from './jobs-floor.ts';
import type { Work } from './work.ts';

/** What waits of one model: synchronous requests, and the jobs that take what these leave free. */
export class ModelQueues {
  readonly requests: BatchQueue<Work>;
  readonly jobs: BatchQueue<Work>;
  readonly floor: JobsFloor;
  readonly #clock: Clock;
  /** Nothing leaves before: after a pause the pulls of all classes must have had their chance. */
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, rules: BatchRules, jobsShare: number) {
    this.#clock = clock;
    this.requests = new BatchQueue(clock, rules);
    this.jobs = new BatchQueue(clock, { ...rules, maxQueueDelayMs: 0 });
    this.floor = new JobsFloor(clock, jobsShare);
  }

  setRules(rules: BatchRules): void {
    this.requests.rules = rules;
    this.jobs.rules = { ...rules, maxQueueDelayMs: 0 };
  }

  pauseUntil(atMs: number): void {
    this.#notBeforeMs = atMs;
  }

  /** Milliseconds until the pause is over. */
  get pausedForMs(): number {
    return Math.max(0, this.#notBeforeMs - this.#clock.now());
  }

  queueOf(work: Work): BatchQueue<Work> {
    return work.frame.durable ? this.jobs : this.requests;
  }

  remove(matches: (work: Work) => boolean): Work[] {
    return [...this.requests.remove(matches), ...this.jobs.remove(matches)];
  }

  /**
   * The next batch for this slot, or how long to wait with it. A job runs while no request waits, and never as the second batch
   * of an instance: a request that comes now waits for one run of jobs at most. The floor excepts from both.
   */
  take(slot: Slot, credits: Credits, draining: boolean): Taken<Work> | { inMs: number } {
    const { requests, jobs } = this;
    const owedRows = jobs.empty ? 0 : this.floor.dueRows(slot.maxRows);
    if (owedRows > 0 || (requests.empty && slot.inFlight < slot.width && !jobs.empty)) {
      const maxRows = requests.empty ? slot.maxRows : Math.min(slot.maxRows, owedRows);
      const taken = jobs.take({ ...this.#place(slot, credits), maxRows, trusted: false });
      if (taken.batch.length > 0) {
        this.floor.spend(taken.rows);
        return taken;
      }
    }
    if (requests.empty) return { inMs: Number.POSITIVE_INFINITY };
    const place = this.#place(slot, credits);
    if (requests.rules.maxQueueDelayMs > 0 && !draining) {
      const inMs = requests.dueInMs(place);
      if (inMs > 0 && inMs < Number.POSITIVE_INFINITY) return { inMs };
    }
    const taken = requests.take(place, draining);
    this.floor.earn(taken.rows, slot.maxRows);
    return taken;
  }

  #place(slot: Slot, credits: Credits): Place<Work> {
    const slots = credits.slotsOf(slot.model);
    return {
      maxRows: slot.maxRows,
      startInMs: credits.startInMs(slot),
      predictMs: (rows) => slot.cost.predictMs(rows),
      trusted: slot.cost.trusted,
      serves:
        slots.length === 1
          ? undefined
          : ({ route: { version } }) =>
              slot.versions.has(version) || !slots.some((other) => other.versions.has(version)),
    };
  }
}
