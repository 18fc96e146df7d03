import { type Arrivals, profileArrivals, replayArrivals } from './arrivals.ts';
import { poissonGaps } from './gaps.ts';
import { LoadError } from './load-error.ts';
import { durationMs, fromCounts, type Piece, peakRate, scaled } from './profile.ts';
import type { Random } from './random.ts';
import type { CountsTrace, TimesTrace, Trace } from './trace-csv.ts';

/** What of a trace is replayed, and how. Times of the window are ms from the begin of the trace. */
export type ReplayPlan = {
  window?: { fromMs: number; toMs: number };
  /** A trace of an hour with speed 60 takes a minute, at 60 times the rate. Default 1. */
  speed?: number;
  /** Requests sent for each recorded one, after the change of speed. Default 1: those recorded. */
  amount?: number;
  /** In place of `amount`: requests per second that the highest second, or period, is to have. */
  peakPerSecond?: number;
  /** How far the further copies of a recorded request lie from it, in ms of the trace. Default 1000. */
  spreadMs?: number;
};

/** `filledPeriods`: those without a row, which took the mean of their neighbours. */
export type Replay = {
  arrivals: Arrivals;
  durationMs: number;
  amount: number;
  expectedRequests: number;
  peakPerSecond: number;
  filledPeriods: number;
};

/** Makes arrivals of a trace. Counts become an inhomogeneous Poisson process; times stay as they are while `amount` is 1. */
export function replay(trace: Trace, plan: ReplayPlan, random: Random): Replay {
  return trace.kind === 'counts' ? replayCounts(trace, plan, random) : replayTimes(trace, plan, random);
}

const LONGEST_FILL = 10; // periods; what happened in a longer gap is a guess

function replayCounts(trace: CountsTrace, plan: ReplayPlan, random: Random): Replay {
  const { speed = 1 } = plan;
  const { counts, filled } = filledCounts(cut(trace, plan.window), trace.periodMs);
  const fast = scaled(fromCounts(counts, trace.periodMs), { speed });
  const amount = amountOf(plan, peakRate(fast));
  const pieces: Piece[] = scaled(fast, { amount });
  const total = counts.reduce((sum, count) => sum + count, 0);
  return {
    arrivals: profileArrivals(pieces, poissonGaps(random)),
    durationMs: durationMs(pieces),
    amount,
    expectedRequests: total * amount,
    peakPerSecond: peakRate(pieces),
    filledPeriods: filled,
  };
}

function cut({ counts, periodMs }: CountsTrace, window: ReplayPlan['window']): Float64Array {
  if (window === undefined) return counts;
  const part = counts.subarray(Math.max(0, Math.floor(window.fromMs / periodMs)), Math.ceil(window.toMs / periodMs));
  if (part.length > 0) return part;
  throw new LoadError(`window: the trace has no period from ${window.fromMs} to ${window.toMs} ms`);
}

function filledCounts(counts: Float64Array, periodMs: number): { counts: Float64Array; filled: number } {
  const whole = Float64Array.from(counts);
  let filled = 0;
  for (let at = 0; at < whole.length; at += 1) {
    if (!Number.isNaN(whole[at])) continue;
    let end = at;
    while (end < whole.length && Number.isNaN(whole[end])) end += 1;
    const missing = end - at;
    if (missing > LONGEST_FILL) {
      const where = `${Math.round((at * periodMs) / 1_000)} s from the begin of the window`;
      throw new LoadError(`window: ${missing} periods are missing ${where}; expected at most ${LONGEST_FILL}`);
    }
    const before = whole[at - 1] ?? whole[end] ?? 0;
    const after = whole[end] ?? before;
    whole.fill((before + after) / 2, at, end);
    filled += missing;
  }
  return { counts: whole, filled };
}

function replayTimes(trace: TimesTrace, plan: ReplayPlan, random: Random): Replay {
  const { speed = 1, spreadMs = 1_000, window } = plan;
  const fromMs = window?.fromMs ?? 0;
  const lengthMs = (window?.toMs ?? (trace.timesMs.at(-1) as number)) - fromMs;
  const inside = trace.timesMs.filter((timeMs) => timeMs >= fromMs && timeMs <= fromMs + lengthMs);
  if (inside.length === 0)
    throw new LoadError(`window: the trace has no request from ${fromMs} to ${fromMs + lengthMs} ms`);
  const fast = inside.map((timeMs) => (timeMs - fromMs) / speed);
  const amount = amountOf(plan, busiestSecond(fast));
  const timesMs = amount === 1 ? fast : multiplied(fast, { amount, spreadMs: spreadMs / speed, random });
  return {
    arrivals: replayArrivals(timesMs),
    durationMs: lengthMs / speed,
    amount,
    expectedRequests: timesMs.length,
    peakPerSecond: busiestSecond(timesMs),
    filledPeriods: 0,
  };
}

function amountOf({ amount = 1, peakPerSecond }: ReplayPlan, peak: number): number {
  const wanted = peakPerSecond === undefined ? amount : peakPerSecond / peak;
  if (wanted > 0 && Number.isFinite(wanted)) return wanted;
  throw new LoadError(`amount: expected a number above 0, got ${wanted}`);
}

const MAX_REQUESTS = 20_000_000; // 160 MB of times

/**
 * Below 1 a random share is kept; above it every request gets copies, moved by up to `spreadMs` to either side: a random
 * displacement leaves the rate over longer times as it is, and does not send all copies at once.
 */
function multiplied(timesMs: Float64Array, how: { amount: number; spreadMs: number; random: Random }): Float64Array {
  const { amount, spreadMs, random } = how;
  if (timesMs.length * amount > MAX_REQUESTS) {
    throw new LoadError(
      `amount: expected at most ${MAX_REQUESTS} requests, got ${Math.round(timesMs.length * amount)}`,
    );
  }
  const lastMs = timesMs.at(-1) as number;
  const made: number[] = [];
  for (const timeMs of timesMs) {
    const copies = Math.floor(amount) + (random() < amount % 1 ? 1 : 0);
    if (copies > 0) made.push(timeMs);
    for (let copy = 1; copy < copies; copy += 1) {
      const movedMs = timeMs + (random() * 2 - 1) * spreadMs;
      made.push(movedMs < 0 ? -movedMs : movedMs > lastMs ? Math.max(0, 2 * lastMs - movedMs) : movedMs);
    }
  }
  return Float64Array.from(made).sort();
}

/** Most requests in one second of the run, seconds counted from the first request. */
export function busiestSecond(timesMs: Float64Array): number {
  let most = 0;
  let from = 0;
  for (let at = 0; at < timesMs.length; at += 1) {
    while ((timesMs[at] as number) - (timesMs[from] as number) >= 1_000) from += 1;
    most = Math.max(most, at - from + 1);
  }
  return most;
}

/** The window of `lengthMs` of a trace around its highest period, or its busiest minute. */
export function windowAroundPeak(trace: Trace, lengthMs: number): { fromMs: number; toMs: number } {
  const [peakMs, endMs] = trace.kind === 'counts' ? highestPeriod(trace) : busiestMinute(trace);
  const fromMs = Math.max(0, Math.min(peakMs - lengthMs / 2, endMs - lengthMs));
  return { fromMs, toMs: Math.min(endMs, fromMs + lengthMs) };
}

function highestPeriod({ counts, periodMs }: CountsTrace): [peakMs: number, endMs: number] {
  let best = 0;
  counts.forEach((count, at) => {
    if (count > (counts[best] || 0)) best = at;
  });
  return [(best + 0.5) * periodMs, counts.length * periodMs];
}

function busiestMinute({ timesMs }: TimesTrace): [peakMs: number, endMs: number] {
  let most = 0;
  let bestMs = 0;
  let from = 0;
  timesMs.forEach((timeMs, at) => {
    while (timeMs - (timesMs[from] as number) >= 60_000) from += 1;
    if (at - from <= most) return;
    most = at - from;
    bestMs = timeMs - 30_000;
  });
  return [bestMs, timesMs.at(-1) as number];
}
