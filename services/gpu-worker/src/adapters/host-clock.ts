/**
 * Milliseconds of the host's monotonic clock (CLOCK_MONOTONIC): unlike `performance.now()`, whose zero is each process's own
 * start, all processes of one host read the same. Only for what crosses the pipe to an executor.
 */
const zeroMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** From this process's monotonic clock. */
export const toHostMs = (nowMs: number): number => nowMs + zeroMs;

export const hostNowMs = (): number => toHostMs(performance.now());
