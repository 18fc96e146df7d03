import type { Clock } from '@spillway/lifecycle/clock';

/** A batcher says which jobs run 20 times a second; one that was not heard for so long is gone or cut off. */
const SILENT_MS = 500;

type Heard = { seqs: ReadonlySet<number>; atMs: number };

/**
 * Which jobs workers run now, by their places in the jobs stream, as batchers say. Every gateway hears the same, so all of them
 * tell the same of a job. Bounded by what workers can run at a time.
 */
export class RunningJobs {
  readonly #clock: Clock;
  readonly #byBatcher = new Map<string, Heard>();
  readonly #watchers = new Map<number, Set<() => void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** All that run at the workers of one batcher. */
  hear(batcher: string, seqs: readonly number[]): void {
    const before = this.#byBatcher.get(batcher)?.seqs;
    const now = new Set(seqs);
    if (now.size > 0) this.#byBatcher.set(batcher, { seqs: now, atMs: this.#clock.now() });
    else this.#byBatcher.delete(batcher);
    for (const [seq, watchers] of this.#watchers) {
      if (now.has(seq) !== (before?.has(seq) === true)) for (const changed of [...watchers]) changed();
    }
  }

  has(seq: number): boolean {
    for (const [batcher, { seqs, atMs }] of this.#byBatcher) {
      if (this.#clock.now() - atMs > SILENT_MS) this.#byBatcher.delete(batcher);
      else if (seqs.has(seq)) return true;
    }
    return false;
  }

  /** Calls back whenever the job seems to have begun, or to run no more. @returns What stops it. */
  watch(seq: number, changed: () => void): () => void {
    const watchers = this.#watchers.get(seq) ?? new Set();
    this.#watchers.set(seq, watchers.add(changed));
    return () => {
      watchers.delete(changed);
      if (watchers.size === 0) this.#watchers.delete(seq);
    };
  }
}
