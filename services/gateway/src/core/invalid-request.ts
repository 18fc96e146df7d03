import { SpillwayError } from '@spillway/errors/spillway-error';

/** What a caller can mend himself. @param message Names the field and what was expected there. */
export const bad = (message: string): SpillwayError => new SpillwayError('INVALID_REQUEST', message);
