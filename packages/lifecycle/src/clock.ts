/**
 * Milliseconds that only ever grow, with a fraction. The zero is arbitrary: two processes' values are never compared, and
 * durations, not times, cross the wire.
 */
export type Clock = { now(): number };

export const monotonicClock: Clock = { now: () => performance.now() };

/** Milliseconds since the epoch, for people and records only: it may step, so no deadline or duration is taken from it. */
export type WallClock = { epochMs(): number };

export const wallClock: WallClock = { epochMs: () => Date.now() };
