import type { Trace } from '@spillway/load/trace-csv';

const MOST_SPEED = 60;

/** The part of a trace around its highest rate that fills `lengthMs`, at most 60 times as fast as it was. */
export function aroundPeak(
  trace: Trace,
  lengthMs: number,
): { window: { fromMs: number; toMs: number }; speed: number } {
  const wholeMs = trace.kind === 'times' ? (trace.timesMs.at(-1) as number) : trace.counts.length * trace.periodMs;
  const speed = Math.max(1, Math.min(MOST_SPEED, wholeMs / lengthMs));
  const partMs = lengthMs * speed;
  const peakMs = trace.kind === 'times' ? wholeMs / 2 : indexOfMost(trace.counts) * trace.periodMs;
  const fromMs = Math.max(0, Math.min(wholeMs - partMs, peakMs - partMs / 2));
  return { window: { fromMs, toMs: fromMs + partMs }, speed };
}

/** A missing count is NaN. */
function indexOfMost(counts: Float64Array): number {
  let [at, most] = [0, 0];
  for (const [n, count] of counts.entries()) if (count > most) [at, most] = [n, count];
  return at;
}
