/** Every controller is updated at this period. */
export const TICK_MS = 50;
/** Rates are remembered for so many ticks, 1.6 s: as old as a peer's report may be. A power of two. */
export const HISTORY_TICKS = 32;
/** Weight of one tick in a moving mean. */
const WEIGHT = 0.3;

export const ticksAgo = (ageMs: number): number =>
  Math.min(HISTORY_TICKS - 1, Math.max(0, Math.round(ageMs / TICK_MS)));

/**
 * Weight of the last `elapsedMs` in a moving mean: 0.3 for a tick in time, more for a late one. `leastMs` is the time constant
 * below which single requests would show: a model that serves one a second needs a longer memory.
 */
export function weightOf(elapsedMs: number, leastMs: number): number {
  const perTick = Math.min(WEIGHT, TICK_MS / leastMs);
  return 1 - (1 - perTick) ** (elapsedMs / TICK_MS);
}
