import { CATALOGUE, type ErrorCode } from './catalogue.ts';
import type { SpillwayError } from './spillway-error.ts';
import { errorHeaders } from './to-oip.ts';

export type OpenAiErrorType = 'invalid_request_error' | 'permission_error' | 'rate_limit_error' | 'server_error';
export type OpenAiReply = {
  status: number;
  body: { error: { message: string; type: OpenAiErrorType; param: string | null; code: string | null } };
  headers: Record<string, string>;
};

type Row = { type: OpenAiErrorType; code: string | null };

/** Type and code by what OpenAI's own service answers where it has a word for it, else our code in lower case. */
const OPENAI = {
  // The service names a rule where it has one (`empty_array`, `unsupported_parameter`): ours is then the error's reason.
  INVALID_REQUEST: { type: 'invalid_request_error', code: null },
  UNAUTHENTICATED: { type: 'invalid_request_error', code: 'invalid_api_key' },
  FORBIDDEN: { type: 'permission_error', code: 'forbidden' },
  MODEL_NOT_FOUND: { type: 'invalid_request_error', code: 'model_not_found' },
  NOT_FOUND: { type: 'server_error', code: 'not_found' },
  METHOD_NOT_ALLOWED: { type: 'server_error', code: 'method_not_allowed' },
  CONFLICT: { type: 'server_error', code: 'conflict' },
  PAYLOAD_TOO_LARGE: { type: 'server_error', code: 'payload_too_large' },
  UNSUPPORTED_MEDIA: { type: 'server_error', code: 'unsupported_media' },
  QUOTA_EXCEEDED: { type: 'rate_limit_error', code: 'rate_limit_exceeded' },
  OVERLOADED: { type: 'server_error', code: 'overloaded' },
  UNAVAILABLE: { type: 'server_error', code: 'unavailable' },
  DEADLINE_EXCEEDED: { type: 'server_error', code: 'deadline_exceeded' },
  CANCELLED: { type: 'server_error', code: 'cancelled' },
  BACKEND_FAILED: { type: 'server_error', code: 'backend_failed' },
  UNSUPPORTED: { type: 'server_error', code: 'unsupported' },
  INTERNAL: { type: 'server_error', code: 'internal' },
} as const satisfies Record<ErrorCode, Row>;

/** The SDKs repeat these by themselves, and the mesh has already repeated what could help. */
const SDK_MUST_NOT_RETRY: readonly number[] = [409, 500, 502, 504];

/** The error as the OpenAI door answers it; `param` is the member of the body that the fault is about. */
export function toOpenAi(error: SpillwayError, param: string | null = null): OpenAiReply {
  const row: Row = OPENAI[error.code];
  const status = CATALOGUE[error.code].http;
  const headers = errorHeaders(error);
  if (SDK_MUST_NOT_RETRY.includes(status)) headers['x-should-retry'] = 'false';
  const code = error.code === 'INVALID_REQUEST' ? (error.reason ?? null) : row.code;
  return { status, body: { error: { message: error.message, type: row.type, param, code } }, headers };
}
