import { LoadError } from './load-error.ts';

/** Rates in requests per second, changing linearly from begin to end. */
export type Piece = { durationMs: number; fromRate: number; toRate: number };

/** A stretch of a run that is reported on its own. */
export type Phase = { label: string; pieces: readonly Piece[] };

/** What is offered over time, phase after phase. */
export type Profile = readonly Phase[];

/** @throws LoadError naming the value when a piece cannot be. */
function piece(durationMs: number, fromRate: number, toRate: number): Piece {
  if (!(durationMs > 0 && Number.isFinite(durationMs))) {
    throw new LoadError(`duration: expected more than 0 ms, got ${durationMs}`);
  }
  for (const rate of [fromRate, toRate]) {
    if (!(rate >= 0 && Number.isFinite(rate))) throw new LoadError(`rate: expected at least 0 requests/s, got ${rate}`);
  }
  return { durationMs, fromRate, toRate };
}

export const constantRate = (rate: number, durationMs: number): Piece[] => [piece(durationMs, rate, rate)];

export const ramp = (fromRate: number, toRate: number, durationMs: number): Piece[] => [
  piece(durationMs, fromRate, toRate),
];

/** Rises from low to high in each period, then falls at once. The last period may be cut. */
export function sawtooth(low: number, high: number, periodMs: number, durationMs: number): Piece[] {
  return repeat(periodMs, durationMs, (lengthMs) => ramp(low, low + ((high - low) * lengthMs) / periodMs, lengthMs));
}

export type Squares = { low: number; high: number; burstMs: number; periodMs: number };

/** High for `burstMs` at the begin of each period, low for the rest of it. The last period may be cut. */
export function squareBursts({ low, high, burstMs, periodMs }: Squares, durationMs: number): Piece[] {
  if (!(burstMs <= periodMs))
    throw new LoadError(`burst: expected at most the period of ${periodMs} ms, got ${burstMs}`);
  return repeat(periodMs, durationMs, (lengthMs) => {
    const burst = constantRate(high, Math.min(burstMs, lengthMs));
    return lengthMs > burstMs ? [...burst, ...constantRate(low, lengthMs - burstMs)] : burst;
  });
}

const MAX_PIECES = 1_000_000; // what is longer was a slip of units

function repeat(periodMs: number, durationMs: number, one: (lengthMs: number) => Piece[]): Piece[] {
  const periods = durationMs / periodMs;
  if (!(periods > 0 && periods <= MAX_PIECES)) {
    throw new LoadError(`period: expected 1 to ${MAX_PIECES} in ${durationMs} ms, got ${periods}`);
  }
  const pieces: Piece[] = [];
  for (let atMs = 0; atMs < durationMs; atMs += periodMs) pieces.push(...one(Math.min(periodMs, durationMs - atMs)));
  return pieces;
}

/** The same counts one after the other, each spread evenly over its period. */
export const fromCounts = (counts: Iterable<number>, periodMs: number): Piece[] =>
  Array.from(counts, (count) => {
    const rate = (count * 1_000) / periodMs;
    return piece(periodMs, rate, rate);
  });

/** Time passes `speed` times as fast, and the number of requests is `amount` times as large. */
export const scaled = (pieces: readonly Piece[], { speed = 1, amount = 1 }): Piece[] =>
  pieces.map(({ durationMs, fromRate, toRate }) =>
    piece(durationMs / speed, fromRate * speed * amount, toRate * speed * amount),
  );

export const allPieces = (profile: Profile): Piece[] => profile.flatMap(({ pieces }) => pieces);

export const durationMs = (pieces: readonly Piece[]): number => pieces.reduce((sum, p) => sum + p.durationMs, 0);

/** Requests that the pieces stand for, on average. */
export const expectedRequests = (pieces: readonly Piece[]): number =>
  pieces.reduce((sum, p) => sum + ((p.fromRate + p.toRate) / 2) * (p.durationMs / 1_000), 0);

/** Requests per second. */
export const meanRate = (pieces: readonly Piece[]): number =>
  (expectedRequests(pieces) * 1_000) / Math.max(durationMs(pieces), Number.MIN_VALUE);

export const peakRate = (pieces: readonly Piece[]): number =>
  pieces.reduce((highest, p) => Math.max(highest, p.fromRate, p.toRate), 0);

export type PhaseTimes = { label: string; fromMs: number; toMs: number };

/** When each phase begins and ends, in ms from the start. */
export function phaseTimes(profile: Profile): PhaseTimes[] {
  let atMs = 0;
  return profile.map(({ label, pieces }) => {
    const fromMs = atMs;
    atMs += durationMs(pieces);
    return { label, fromMs, toMs: atMs };
  });
}
