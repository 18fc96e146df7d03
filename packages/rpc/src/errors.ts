import { Metadata, type ServiceError, type StatusObject } from '@grpc/grpc-js';
import { type ErrorCode, isErrorCode } from '@spillway/errors/catalogue';
import { retryAfterHeaders } from '@spillway/errors/retry-after';
import { INTERNAL_MESSAGE, SpillwayError } from '@spillway/errors/spillway-error';
import { statusDetails, toGrpc } from '@spillway/errors/to-grpc';

const CODE = 'spillway-error';
const REASON = 'spillway-reason';
const RETRY_AFTER_MS = 'retry-after-ms';

/** The error as a gRPC server ends a call with it; its metadata becomes the trailers. */
export function toServiceError(error: SpillwayError): ServiceError {
  const { code, message, reason, retryAfterMs, pushbackMs } = toGrpc(error);
  const metadata = new Metadata();
  metadata.set(CODE, error.code);
  metadata.set('grpc-status-details-bin', Buffer.from(statusDetails(error)));
  if (reason !== undefined) metadata.set(REASON, reason);
  if (pushbackMs !== undefined) metadata.set('grpc-retry-pushback-ms', String(pushbackMs));
  if (retryAfterMs !== undefined) {
    for (const [name, value] of Object.entries(retryAfterHeaders(retryAfterMs))) metadata.set(name, value);
  }
  return Object.assign(new Error(message), { code, details: message, metadata });
}

/**
 * What a status without our trailer means: it comes from grpc-js, a proxy or a foreign server. Its text stays inside, for it names
 * peers (`connect ECONNREFUSED 10.0.0.7:8040`).
 */
const FOREIGN: Record<number, { code: ErrorCode; message: string }> = {
  1: { code: 'CANCELLED', message: 'the call was cancelled' },
  3: { code: 'INVALID_REQUEST', message: 'the message was refused as malformed' },
  4: { code: 'DEADLINE_EXCEEDED', message: 'the call took longer than its deadline' },
  5: { code: 'NOT_FOUND', message: 'what was asked for does not exist' },
  6: { code: 'CONFLICT', message: 'what was to be made exists already' },
  7: { code: 'FORBIDDEN', message: 'the call is not permitted' },
  8: { code: 'PAYLOAD_TOO_LARGE', message: 'a message is larger than its receiver takes' },
  12: { code: 'UNSUPPORTED', message: 'the peer does not serve this method' },
  14: { code: 'UNAVAILABLE', message: 'the peer is away' },
  16: { code: 'UNAUTHENTICATED', message: 'the call carries no valid identity' },
};

/** The typed error that a call ended with; `cause` is the gRPC error, for the log. */
export function fromServiceError(error: ServiceError | (StatusObject & { cause?: unknown })): SpillwayError {
  const code = first(error.metadata, CODE);
  if (code !== undefined && isErrorCode(code)) {
    const hint = Number(first(error.metadata, RETRY_AFTER_MS) ?? Number.NaN);
    const retryAfterMs = Number.isFinite(hint) ? hint : undefined;
    return new SpillwayError(code, error.details, {
      cause: error,
      reason: first(error.metadata, REASON),
      retryAfterMs,
    });
  }
  const foreign = FOREIGN[error.code] ?? { code: 'INTERNAL' as const, message: INTERNAL_MESSAGE };
  return new SpillwayError(foreign.code, foreign.message, { cause: error });
}

function first(metadata: Metadata | undefined, name: string): string | undefined {
  const value = metadata?.get(name)[0];
  return typeof value === 'string' ? value : undefined;
}
