import { monitorEventLoopDelay } from 'node:perf_hooks';

/**
 * How late the event loop runs what is due, in ms, since the start or the last `reset()`. A reset also forgets the interval
 * in progress: a block that begins within 20 ms after it is not seen.
 */
export type LoopLag = { meanMs(): number; maxMs(): number; reset(): void; [Symbol.dispose](): void };

/** The sampling timer's period. A shorter one costs more wake-ups of an idle process than it tells. */
const RESOLUTION_MS = 20;

/** The histogram holds the time between two firings of its timer, so its period is taken off to leave the lateness. */
const latenessMs = (nanoseconds: number): number =>
  Number.isFinite(nanoseconds) ? Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS) : 0;

export function watchLoopLag(): LoopLag {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  return {
    meanMs: () => latenessMs(histogram.mean),
    maxMs: () => latenessMs(histogram.max),
    reset: () => histogram.reset(),
    [Symbol.dispose]: () => {
      histogram.disable();
    },
  };
}
