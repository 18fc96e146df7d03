import type { Credits } from './credits.ts';
import type { InFlightBatches } from './in-flight.ts';
import type { Instance } from './instance.ts';
import type { Returned, Returns } from './returns.ts';

const SILENT_AT_LEAST_MS = 80;
const RUNS = 4;

/** Instances that become suspect now: no batch ended for far longer than one takes, counting what other models have there. */
export function findSuspects(credits: Credits, model: string, operatingRows: number, nowMs: number): Instance[] {
  const found: Instance[] = [];
  for (const slot of credits.slotsOf(model)) {
    for (const instance of slot.instances) {
      if (instance.suspect || instance.silentMs(nowMs) < SILENT_AT_LEAST_MS) continue;
      const runMs = Math.max(slot.runTime('').predictMs(operatingRows), instance.runningMs);
      const limitMs = Math.max(SILENT_AT_LEAST_MS, RUNS * runMs) + slot.othersMs(nowMs);
      if (instance.silentMs(nowMs) >= limitMs) found.push(instance);
    }
  }
  return found;
}

/** Nothing further goes there until it speaks; its requests that can still finish go elsewhere. A job is its worker's until that is lost. */
export function withdraw(
  instance: Instance,
  inFlight: InFlightBatches,
  returns: Returns,
  into: Returned,
  nowMs: number,
): void {
  instance.suspect = true;
  for (const dispatch of inFlight.heldBy(instance)) {
    const [first] = dispatch.work;
    if (first === undefined || first.frame.durable) continue;
    const leastMs = instance.slot.runTime(first.variant).predictMs(1);
    returns.putBack(dispatch, into, 'hangs', nowMs + leastMs);
    dispatch.withdrawn = true;
  }
}
