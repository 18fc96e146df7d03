import { CATALOGUE } from './catalogue.ts';
import { bytesField, intField, message, stringField } from './protobuf-writer.ts';
import { retryHintMs, wireReason } from './retry-after.ts';
import type { SpillwayError } from './spillway-error.ts';

/**
 * Plain data for a gRPC status. `pushbackMs` steers gRPC's own retries through the trailer `grpc-retry-pushback-ms`:
 * wait n ms, negative = do not retry. It is always set, because OVERLOADED and UNAVAILABLE share code 14 and a retry policy
 * on 14 alone would repeat at once what was just shed.
 */
export type GrpcStatus = {
  code: number;
  message: string;
  reason?: string;
  retryAfterMs?: number;
  pushbackMs?: number;
};

/**
 * The message stands in two trailers, percent-encoded in one, and clients refuse header blocks above 8 to 16 KiB: then they
 * would see a broken connection instead of the error.
 */
const MAX_MESSAGE_LENGTH = 1_000;

/** A text that may echo what a caller sent. A lone surrogate cannot be percent-encoded: grpc-js would throw. */
const trailerText = (text: string): string =>
  (text.length > MAX_MESSAGE_LENGTH ? `${text.slice(0, MAX_MESSAGE_LENGTH)}…` : text).toWellFormed();

export function toGrpc(error: SpillwayError): GrpcStatus {
  const reason = wireReason(error);
  const hintMs = retryHintMs(error);
  return {
    code: CATALOGUE[error.code].grpc,
    message: trailerText(error.message),
    ...(reason === undefined ? {} : { reason }),
    ...(hintMs === undefined ? {} : { retryAfterMs: hintMs }),
    pushbackMs: error.autoRetry ? (hintMs ?? -1) : -1,
  };
}

/** Domain of our reasons in google.rpc.ErrorInfo. */
export const ERROR_DOMAIN = 'spillway';

const TYPE_URL = 'type.googleapis.com/google.rpc.';

const any = (type: string, value: Uint8Array): Uint8Array =>
  bytesField(3, message(stringField(1, TYPE_URL + type), bytesField(2, value)));

/**
 * The trailer `grpc-status-details-bin`: google.rpc.Status {code=1, message=2, details=3 Any[]} with ErrorInfo {reason=1,
 * domain=2, metadata=3 map} and, if repeating helps, RetryInfo {retry_delay=1 Duration {seconds=1, nanos=2}}.
 * ErrorInfo's reason is the knob that fired, or the code where no knob did; its metadata has the code.
 */
export function statusDetails(error: SpillwayError): Uint8Array {
  const status = toGrpc(error);
  const codeEntry = message(stringField(1, 'code'), stringField(2, error.code));
  const info = message(
    stringField(1, status.reason ?? error.code),
    stringField(2, ERROR_DOMAIN),
    bytesField(3, codeEntry),
  );
  const details = [any('ErrorInfo', info)];
  if (status.retryAfterMs !== undefined) details.push(any('RetryInfo', retryInfo(status.retryAfterMs)));
  return message(intField(1, status.code), stringField(2, status.message), ...details);
}

function retryInfo(ms: number): Uint8Array {
  const duration = message(intField(1, Math.floor(ms / 1_000)), intField(2, (ms % 1_000) * 1_000_000));
  return bytesField(1, duration);
}
