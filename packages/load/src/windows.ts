/** Counts by windows of one length. */
export type Windows = { offered: (window: number) => number; served: (window: number) => number };

export type RecoveryRule = {
  /** First and last window that may count. */
  from: number;
  to: number;
  /** Share of a window's requests that must be served. */
  share: number;
  /** So many windows in a row make it a recovery, or all that are left. */
  inARow: number;
};

/**
 * Windows from `from` until the first from which on the share served stays at `share`. Windows without requests are neither
 * good nor bad. Undefined: it never does.
 */
export function recoveredAfter(
  { offered, served }: Windows,
  { from, to, share, inARow }: RecoveryRule,
): number | undefined {
  let begin = from;
  let good = 0;
  for (let window = from; window < to; window += 1) {
    const wanted = offered(window);
    if (wanted === 0) continue;
    if (served(window) / wanted < share) {
      begin = window + 1;
      good = 0;
    } else {
      good += 1;
      if (good >= inARow) return begin - from;
    }
  }
  return good > 0 ? begin - from : undefined;
}
