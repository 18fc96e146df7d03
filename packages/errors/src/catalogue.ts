/**
 * When a caller may try again.
 * - `never`: the same request fails again, or its time is over.
 * - `after-hint`: nothing was done; repeat it after the hint (`retry-after-ms`, RetryInfo).
 * - `jobs`: a durable job is tried again by the mesh itself; a synchronous caller is told the failure.
 */
export type RetryRule = 'never' | 'after-hint' | 'jobs';

/** `http` and `grpc` are the statuses at the doors; `meaning` is printed in docs/errors.md. */
export type CatalogueRow = { http: number; grpc: number; retry: RetryRule; meaning: string };

/** Every failure that Spillway can answer with. Codes are never reused and never change their meaning. */
export const CATALOGUE = {
  INVALID_REQUEST: {
    http: 400,
    grpc: 3,
    retry: 'never',
    meaning: 'The request breaks a rule. The message names the field, what was expected and what came.',
  },
  UNAUTHENTICATED: {
    http: 401,
    grpc: 16,
    retry: 'never',
    meaning: 'No API key came, it is not known or was revoked, or it has expired (reason `key_expired`).',
  },
  FORBIDDEN: {
    http: 403,
    grpc: 7,
    retry: 'never',
    meaning:
      'The key is valid and may not do this. With the reason `scope` the message names the scope that is missing.',
  },
  MODEL_NOT_FOUND: {
    http: 404,
    grpc: 5,
    retry: 'never',
    meaning: 'No model, version or label has this name, or the key may not see it.',
  },
  NOT_FOUND: { http: 404, grpc: 5, retry: 'never', meaning: 'There is nothing at this address, or no such job.' },
  METHOD_NOT_ALLOWED: {
    http: 405,
    grpc: 12,
    retry: 'never',
    meaning: 'The address exists and takes another HTTP method.',
  },
  CONFLICT: {
    http: 409,
    grpc: 6,
    retry: 'never',
    meaning:
      'The idempotency key was used with another body, a result is already stored, or another caller wants the opposite of a model.',
  },
  PAYLOAD_TOO_LARGE: {
    http: 413,
    grpc: 8,
    retry: 'never',
    meaning: "The request is larger than the door's limit, counted before and after decompression.",
  },
  UNSUPPORTED_MEDIA: {
    http: 415,
    grpc: 3,
    retry: 'never',
    meaning: 'The body has a content type that this address does not read.',
  },
  QUOTA_EXCEEDED: {
    http: 429,
    grpc: 8,
    retry: 'after-hint',
    meaning: "The tenant's own quota is used up. The mesh may be idle; other tenants are not affected.",
  },
  OVERLOADED: {
    http: 503,
    grpc: 14,
    retry: 'after-hint',
    meaning: 'Shed for capacity: the request could not have finished in time. Nothing was started.',
  },
  UNAVAILABLE: {
    http: 503,
    grpc: 14,
    retry: 'after-hint',
    meaning: 'A part of the mesh that this request needs is away, starting or draining. Nothing was started.',
  },
  DEADLINE_EXCEEDED: {
    http: 504,
    grpc: 4,
    retry: 'never',
    meaning: "The request's time budget ended before its answer. A late answer is ignored.",
  },
  CANCELLED: { http: 499, grpc: 1, retry: 'never', meaning: 'The caller went away or cancelled the request.' },
  BACKEND_FAILED: {
    http: 502,
    grpc: 13,
    retry: 'jobs',
    meaning: 'The model, its executor or the engine behind it failed on this request.',
  },
  UNSUPPORTED: {
    http: 501,
    grpc: 12,
    retry: 'never',
    meaning: 'The request is well formed and asks for something that is not served here.',
  },
  INTERNAL: { http: 500, grpc: 13, retry: 'jobs', meaning: 'A bug in Spillway. The details are in its log.' },
} as const satisfies Record<string, CatalogueRow>;

export type ErrorCode = keyof typeof CATALOGUE;

/** All codes, in the order of the catalogue. */
export const ERROR_CODES = Object.keys(CATALOGUE) as readonly ErrorCode[];

export const isErrorCode = (x: string): x is ErrorCode => Object.hasOwn(CATALOGUE, x);
