import { CATALOGUE } from './catalogue.ts';
import type { SpillwayError } from './spillway-error.ts';

/** Sent when nobody computed a better hint: a retryable refusal always carries one. */
export const DEFAULT_RETRY_AFTER_MS = 1_000;

/**
 * The hint that may leave the process, whole milliseconds ≥ 0. Undefined for codes whose repetition does not help: a hint
 * there would contradict the code.
 */
export function retryHintMs(error: SpillwayError): number | undefined {
  if (CATALOGUE[error.code].retry !== 'after-hint') return undefined;
  const hintMs = error.retryAfterMs ?? DEFAULT_RETRY_AFTER_MS;
  return Number.isFinite(hintMs) ? Math.max(0, Math.ceil(hintMs)) : DEFAULT_RETRY_AFTER_MS;
}

/** HTTP knows whole seconds only: `retry-after` is rounded up, at least 1; `retry-after-ms` is the hint itself. */
export function retryAfterHeaders(ms: number): { 'retry-after': string; 'retry-after-ms': string } {
  const hintMs = Math.max(0, Math.ceil(ms));
  return { 'retry-after': String(Math.max(1, Math.ceil(hintMs / 1_000))), 'retry-after-ms': String(hintMs) };
}

const REASON_PATTERN = /^[A-Za-z0-9_.:-]{1,64}$/;

/** The reason if it may stand in a header: reasons are names of knobs, and anything else stays inside. */
export const wireReason = (error: SpillwayError): string | undefined =>
  error.reason !== undefined && REASON_PATTERN.test(error.reason) ? error.reason : undefined;
