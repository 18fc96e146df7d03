import { CATALOGUE, type ErrorCode } from './catalogue.ts';
import { wireReason } from './retry-after.ts';
import type { SpillwayError } from './spillway-error.ts';
import { errorHeaders } from './to-oip.ts';

export type PlainReply = {
  status: number;
  body: { error: { code: ErrorCode; message: string; reason: string | null } };
  headers: Record<string, string>;
};

/** The error as the plain door answers it: all three members always; `reason` is the knob that fired, or null. */
export const toPlain = (error: SpillwayError): PlainReply => ({
  status: CATALOGUE[error.code].http,
  body: { error: { code: error.code, message: error.message, reason: wireReason(error) ?? null } },
  headers: errorHeaders(error),
});
