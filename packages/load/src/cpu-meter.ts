/** CPU time of this process over time; samples are handed in, so it is as true as they are dense. */
export class CpuMeter {
  readonly #timesMs: number[] = [];
  readonly #usedMs: number[] = [];

  /** @param usedMs CPU time since any fixed point. */
  sample(atMs: number, usedMs: number): void {
    this.#timesMs.push(atMs);
    this.#usedMs.push(usedMs);
  }

  /** Cores used between two times, from the samples around them; null without two samples. */
  cores(fromMs: number, toMs: number): number | null {
    const from = Math.max(
      0,
      this.#timesMs.findLastIndex((atMs) => atMs <= fromMs),
    );
    const after = this.#timesMs.findIndex((atMs) => atMs >= toMs);
    const to = after < 0 ? this.#timesMs.length - 1 : after;
    const lengthMs = (this.#timesMs[to] ?? 0) - (this.#timesMs[from] ?? 0);
    return lengthMs > 0 ? ((this.#usedMs[to] as number) - (this.#usedMs[from] as number)) / lengthMs : null;
  }
}
