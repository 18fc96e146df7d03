import { CATALOGUE } from './catalogue.ts';
import { retryAfterHeaders, retryHintMs, wireReason } from './retry-after.ts';
import type { SpillwayError } from './spillway-error.ts';

export type OipReply = { status: number; body: { error: string }; headers: Record<string, string> };

/** Headers of every failed HTTP answer, whatever its body: the code, the knob that fired, the hint. */
export function errorHeaders(error: SpillwayError): Record<string, string> {
  const headers: Record<string, string> = { 'spillway-error': error.code };
  const reason = wireReason(error);
  const hintMs = retryHintMs(error);
  if (reason !== undefined) headers['spillway-reason'] = reason;
  if (hintMs !== undefined) Object.assign(headers, retryAfterHeaders(hintMs));
  return headers;
}

/** The error as the Open Inference Protocol's REST door answers it. */
export const toOip = (error: SpillwayError): OipReply => ({
  status: CATALOGUE[error.code].http,
  body: { error: error.message },
  headers: errorHeaders(error),
});
