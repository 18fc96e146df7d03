import type { Clock } from '@spillway/lifecycle/clock';

type Run = { sinceMs: number; limitMs: number };

/**
 * Knows which executors have been in one run for longer than the run's model allows. A run inside native code cannot be
 * ended, only its process can: who is overdue gets killed by the caller. Holds no timer; a run that starts while the shell's
 * timer is armed for an earlier end needs no new timer, so a run costs two map operations.
 */
export class Watchdog<E> {
  readonly #clock: Clock;
  readonly #runs = new Map<E, Run>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A new run replaces the executor's earlier one. @returns Milliseconds until it is overdue. */
  started(executor: E, limitMs: number): number {
    this.#runs.set(executor, { sinceMs: this.#clock.now(), limitMs });
    return limitMs;
  }

  finished(executor: E): void {
    this.#runs.delete(executor);
  }

  /** Milliseconds until the next run is overdue; Infinity when nothing runs. */
  dueInMs(): number {
    let dueAtMs = Number.POSITIVE_INFINITY;
    for (const { sinceMs, limitMs } of this.#runs.values()) dueAtMs = Math.min(dueAtMs, sinceMs + limitMs);
    return Math.max(0, dueAtMs - this.#clock.now());
  }

  /** Executors whose run is longer than its limit; each is named once. */
  takeOverdue(): { executor: E; ranMs: number; limitMs: number }[] {
    const now = this.#clock.now();
    const overdue: { executor: E; ranMs: number; limitMs: number }[] = [];
    for (const [executor, { sinceMs, limitMs }] of this.#runs) {
      if (now - sinceMs < limitMs) continue;
      overdue.push({ executor, ranMs: now - sinceMs, limitMs });
      this.#runs.delete(executor);
    }
    return overdue;
  }
}
