const LEAST_MS = 200;
/** Long enough for the slots of a flood of several times capacity: all who were told a shorter bound would come back at once. */
const MOST_MS = 60_000;
const GUARD_MS = 1_000;
const LONGEST_OUTAGE_MS = 2_000;
/** Share of the rate that is promised to those who were refused; the rest is for who comes for the first time. */
const PROMISED = 0.5;

/**
 * The next free slot of a rate, and when the one after it is due: each refused request gets a time of its own, so that they do
 * not all come back at once.
 * @returns the time of the slot; keep it and hand it in again.
 */
export const nextSlot = (lastMs: number, cost: number, perMs: number, nowMs: number): number =>
  Math.min(nowMs + MOST_MS, Math.max(lastMs, nowMs) + cost / Math.max(1e-9, PROMISED * perMs));

/** Of a request refused for capacity: `waitMs` is the longer of its slot and the time by which its answer would be late. */
export const overloadHintMs = (waitMs: number, random: () => number): number =>
  Math.min(MOST_MS, Math.max(LEAST_MS, waitMs) * (0.75 + 0.5 * random()));

/** Of a request refused by the guard of the processor. */
export const guardHintMs = (random: () => number): number => GUARD_MS * (0.5 + random());

/** While the bus is away: as long as it has been, since that doubles with each try. */
export const outageHintMs = (awayMs: number, random: () => number): number =>
  Math.min(LONGEST_OUTAGE_MS, Math.max(LEAST_MS, awayMs)) * (0.5 + random());
