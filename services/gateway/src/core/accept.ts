import { SpillwayError } from '@spillway/errors/spillway-error';

/** Rungs between running and refusing that a caller takes. */
export type AcceptedRungs = { wait: boolean; degraded: boolean; ticket: boolean };

/** Of a caller that says nothing. A ticket is only for who asked: a client that does not know it could not read it. */
export const ACCEPTED_BY_DEFAULT: AcceptedRungs = Object.freeze({ wait: true, degraded: true, ticket: false });

const RUNGS = ['wait', 'degraded', 'ticket'] as const;

/**
 * Reads a list such as `wait, degraded`; an empty one accepts nothing but an answer at once.
 * @throws SpillwayError `INVALID_REQUEST` naming `at`.
 */
export function readAccept(text: string | undefined, at: string): AcceptedRungs {
  if (text === undefined) return ACCEPTED_BY_DEFAULT;
  const accepted: AcceptedRungs = { wait: false, degraded: false, ticket: false };
  for (const part of text.split(',')) {
    const word = part.trim().toLowerCase();
    if (word === '' || word === 'none') continue;
    const rung = RUNGS.find((known) => known === word);
    if (rung === undefined) {
      throw new SpillwayError('INVALID_REQUEST', `${at}: expected a list of wait, degraded, ticket, or none`);
    }
    accepted[rung] = true;
  }
  return accepted;
}
