import { SpillwayError } from '@spillway/errors/spillway-error';

/** What of RFC 7240 is honoured. `waitMs`: how long the caller waits for the answer before the ticket; 0: not at all. */
export type Preference = { respondAsync: boolean; waitMs: number };

export const NO_PREFERENCE: Preference = Object.freeze({ respondAsync: false, waitMs: 0 });

const MOST_WAIT_S = 60;

/**
 * Reads `respond-async, wait=10`. Preferences that are not known are ignored, as the standard has it; one that is known and cannot
 * be read is not.
 * @throws SpillwayError `INVALID_REQUEST`.
 */
export function readPrefer(text: string | undefined): Preference {
  if (text === undefined) return NO_PREFERENCE;
  let respondAsync = false;
  let waitMs = 0;
  for (const part of text.split(',')) {
    const [name = '', value = ''] = (part.split(';')[0] ?? '').split('=').map((side) => side.trim());
    if (name.toLowerCase() === 'respond-async') respondAsync = true;
    else if (name.toLowerCase() === 'wait') waitMs = readWaitMs(value.replaceAll('"', ''), 'prefer: wait');
  }
  return { respondAsync, waitMs };
}

/** Seconds, at most a minute: longer than that no proxy keeps a request that says nothing. @throws SpillwayError `INVALID_REQUEST`. */
export function readWaitMs(text: string, what: string): number {
  const seconds = /^\d{1,6}(\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(seconds)) {
    throw new SpillwayError('INVALID_REQUEST', `${what}: expected seconds, got "${text.slice(0, 32)}"`);
  }
  return 1_000 * Math.min(MOST_WAIT_S, seconds);
}
