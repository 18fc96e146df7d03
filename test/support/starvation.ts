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

/** How long any task of the machine was ready to run and got no core, ms; NaN where the kernel does not tell. */
function pressureMs(): number {
  try {
    return Number(/^some .*total=(\d+)/.exec(readFileSync('/proc/pressure/cpu', 'latin1'))?.[1]) / 1_000;
  } catch {
    return Number.NaN;
  }
}

const KEPT_MS = 30_000;
/** In a span of which somebody waited for so much the machine is crowded. */
const CROWDED_SHARE = 0.5;

type Sample = { atMs: number; waits: Map<number, number>; pressureMs: number };

/** Samples again and again, so that the delay within any recent span can be told. */
export class Starvation {
  readonly #pids: () => readonly number[];
  readonly #samples: Sample[] = [];

  /** @param pids Asked at each sample: a restarted process has another one. */
  constructor(pids: () => readonly number[]) {
    this.#pids = pids;
  }

  sample(nowMs: number): void {
    const waits = new Map(this.#pids().map((pid) => [pid, waitedMs(pid)]));
    this.#samples.push({ atMs: nowMs, waits, pressureMs: pressureMs() });
    while ((this.#samples[0]?.atMs ?? nowMs) < nowMs - KEPT_MS) this.#samples.shift();
  }

  /** Of the process that waited longest since then. */
  sinceMs(startMs: number): number {
    const { first, last } = this.#span(startMs);
    if (first === undefined || last === undefined) return 0;
    let most = 0;
    for (const [pid, wait] of last.waits) most = Math.max(most, wait - (first.waits.get(pid) ?? wait));
    return most;
  }

  /** Whether the machine was so crowded since then that how long anything took says nothing about the mesh. */
  isCrowdedSince(startMs: number): boolean {
    const { first, last } = this.#span(startMs);
    if (first === undefined || last === undefined || first === last) return false;
    const pressed = last.pressureMs - first.pressureMs;
    const waited = Number.isNaN(pressed) ? this.sinceMs(startMs) : pressed;
    return waited > CROWDED_SHARE * (last.atMs - first.atMs);
  }

  #span(startMs: number): { first: Sample | undefined; last: Sample | undefined } {
    const first = this.#samples.findLast(({ atMs }) => atMs <= startMs) ?? this.#samples[0];
    return { first, last: this.#samples.at(-1) };
  }
}
