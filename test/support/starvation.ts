import { readFileSync } from 'node:fs';

/**
 * How long the main threads of processes were ready to run and got no core, ms: `run_delay` of /proc/<pid>/schedstat. What a
 * crowded test machine adds to an answer is not the mesh's. 0 where the kernel does not tell.
 */
function waitedMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[1]) / 1e6;
  } catch {
    return 0; // ended
  }
}

const KEPT_MS = 30_000;

type Sample = { atMs: number; waits: Map<number, number> };

/** Samples again and again, so that the delay within any recent span can be told. */
export class Starvation {
  readonly #pids: () => readonly number[];
  readonly #samples: Sample[] = [];

  /** @param pids Asked at each sample: a restarted process has another one. */
  constructor(pids: () => readonly number[]) {
    this.#pids = pids;
  }

  sample(nowMs: number): void {
    this.#samples.push({ atMs: nowMs, waits: new Map(this.#pids().map((pid) => [pid, waitedMs(pid)])) });
    while ((this.#samples[0]?.atMs ?? nowMs) < nowMs - KEPT_MS) this.#samples.shift();
  }

  /** Of the process that waited longest since then. */
  sinceMs(startMs: number): number {
    const first = this.#samples.findLast(({ atMs }) => atMs <= startMs) ?? this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined) return 0;
    let most = 0;
    for (const [pid, wait] of last.waits) most = Math.max(most, wait - (first.waits.get(pid) ?? wait));
    return most;
  }
}
