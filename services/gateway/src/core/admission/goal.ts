/** Queues shorter than this are noise. */
const LEAST_TARGET_MS = 2;
/** Tenants who share a class wait for each other no longer than so many targets. */
const SHARED_TARGETS = 2.5;
/** Of what the tight deadlines leave for waiting: beyond it their requests would be refused next. */
const LIMIT_SHARE = 0.8;

/** How long the queue in front of a class may be, ms. */
export type Goal = {
  /** q*: where the queue is kept while the class is congested. */
  targetMs: number;
  /** From here on demand above capacity is congestion, if several tenants share the class. */
  sharedMs: number;
  /** From here on it is, whoever asks. */
  limitMs: number;
};

/**
 * What the deadlines of a class allow. A tenant that is alone in its class is left alone up to the limit: a closed loop of many
 * clients keeps a queue of its own length without ever offering more than is served, and refusing it would help nobody.
 * @param usableMs Share of the tight deadlines (their 10th percentile) that prediction may use.
 * @param requestMs Time in which one mean request of this class is served.
 */
export function goalOf(options: {
  usableMs: number;
  runMs: number;
  hopMs: number;
  requestMs: number;
  atFloor: boolean;
}): Goal {
  const { usableMs, runMs, hopMs, requestMs, atFloor } = options;
  const freeMs = Math.max(0, usableMs - 1.5 * runMs - hopMs);
  const halfMs = freeMs / 2;
  // A class that is served slowly must have its next request at hand, or its share goes to waste; on its floor it takes what
  // place the batches of others leave, so it waits as long as it can afford.
  const wantedMs = atFloor ? halfMs : Math.max(Math.min(runMs / 2, freeMs / 4), Math.min(1.5 * requestMs, halfMs));
  const targetMs = Math.max(LEAST_TARGET_MS, wantedMs);
  const sharedMs = Math.max(SHARED_TARGETS * targetMs, Math.min(2 * requestMs, LIMIT_SHARE * freeMs));
  return { targetMs, sharedMs, limitMs: Math.max(sharedMs, LIMIT_SHARE * freeMs) };
}

/** Rate to admit, as a share of what is free: a long queue lowers it, a short one raises it. */
export const pace = (queueMs: number, { targetMs }: Goal, runMs: number): number =>
  Math.min(1.1, Math.max(0.5, 1 + (targetMs - queueMs) / Math.max(100, 2 * runMs)));
