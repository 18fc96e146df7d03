import type { PhaseReport } from './report.ts';

export const MAX_LATENESS_P99_MS = 5;
export const MAX_CPU = 0.9;
const SHORTEST_MS = 1_000; // a share of less time says little

/** Why a run measured its generator and not its target; empty if it did not. */
export function whyVoid(phases: readonly PhaseReport[], unsent: number): string[] {
  const reasons: string[] = [];
  for (const { label, fromMs, toMs, latenessP99Ms, cpu } of phases) {
    if (latenessP99Ms !== null && latenessP99Ms > MAX_LATENESS_P99_MS) {
      reasons.push(
        `${label}: p99 of the lateness of sends ${latenessP99Ms.toFixed(1)} ms, expected ≤ ${MAX_LATENESS_P99_MS}`,
      );
    }
    if (cpu !== null && toMs - fromMs >= SHORTEST_MS && cpu > MAX_CPU) {
      reasons.push(`${label}: the generator used ${(cpu * 100).toFixed(0)} % of a core, expected ≤ ${MAX_CPU * 100}`);
    }
  }
  if (unsent > 0) reasons.push(`${unsent} requests were not sent, because too many were in flight`);
  return reasons;
}
