/** Codes of Spillway's catalogue, in its order. */
export const ERROR_CODES = [
  'INVALID_REQUEST',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'MODEL_NOT_FOUND',
  'NOT_FOUND',
  'METHOD_NOT_ALLOWED',
  'CONFLICT',
  'PAYLOAD_TOO_LARGE',
  'UNSUPPORTED_MEDIA',
  'QUOTA_EXCEEDED',
  'OVERLOADED',
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'CANCELLED',
  'BACKEND_FAILED',
  'UNSUPPORTED',
  'INTERNAL',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

const isErrorCode = (text: string | undefined): text is ErrorCode =>
  (ERROR_CODES as readonly (string | undefined)[]).includes(text);

/** For an answer that names no code: something between the mesh and this client gave it, or gRPC itself. */
const BY_HTTP_STATUS: Record<number, ErrorCode> = {
  401: 'UNAUTHENTICATED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  405: 'METHOD_NOT_ALLOWED',
  409: 'CONFLICT',
  413: 'PAYLOAD_TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA',
  429: 'QUOTA_EXCEEDED',
  499: 'CANCELLED',
  501: 'UNSUPPORTED',
  502: 'UNAVAILABLE', // a proxy whose gateway is away
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
};
const BY_GRPC_STATUS: Record<number, ErrorCode> = {
  1: 'CANCELLED',
  3: 'INVALID_REQUEST',
  4: 'DEADLINE_EXCEEDED',
  5: 'NOT_FOUND',
  7: 'FORBIDDEN',
  8: 'PAYLOAD_TOO_LARGE', // a message beyond a limit of the channel
  12: 'UNSUPPORTED',
  14: 'UNAVAILABLE',
  16: 'UNAUTHENTICATED',
};

/** Nothing was started, and the mesh says when to come back. */
const REPEATABLE: readonly ErrorCode[] = ['QUOTA_EXCEEDED', 'OVERLOADED', 'UNAVAILABLE'];

export type ClientErrorOptions = {
  reason?: string | undefined;
  retryAfterMs?: number | undefined;
  requestId?: string | undefined;
  status?: number | undefined;
  cause?: unknown;
};

/** Everything that a call of this client fails with. Decide on `code`: not on the text, which may change. */
export class SpillwayClientError extends Error {
  override readonly name = 'SpillwayClientError';
  readonly code: ErrorCode;
  /** The knob of the mesh that fired, such as `predicted_finish`; `connection` when no answer came at all. */
  readonly reason: string | undefined;
  /** When the same request may be sent again, in milliseconds from the answer. */
  readonly retryAfterMs: number | undefined;
  /** The id in Spillway's traces and logs. */
  readonly requestId: string | undefined;
  /** HTTP's or gRPC's number; undefined: the failure is the client's own, or no answer came. */
  readonly status: number | undefined;

  constructor(code: ErrorCode, message: string, options: ClientErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.reason = options.reason;
    this.retryAfterMs = options.retryAfterMs;
    this.requestId = options.requestId;
    this.status = options.status;
  }

  /** The same request may succeed later: nothing of it was started. */
  get isRetryable(): boolean {
    return REPEATABLE.includes(this.code);
  }
}

/** Reads a header, a trailer or a parameter by its lower-case name. */
export type Fields = (name: string) => string | undefined;

const numberOf = (text: string | undefined): number | undefined => {
  const value = text === undefined || text === '' ? Number.NaN : Number(text);
  return Number.isFinite(value) && value >= 0 ? value : undefined;
};

/** The hint in milliseconds: `retry-after-ms`, else the whole seconds of `retry-after`. */
function hintOf(fields: Fields): number | undefined {
  const seconds = numberOf(fields('retry-after'));
  return numberOf(fields('retry-after-ms')) ?? (seconds === undefined ? undefined : seconds * 1_000);
}

/** What every door says about a failure, in fields of the same names. */
const described = (fields: Fields, status: number | undefined): ClientErrorOptions => ({
  reason: fields('spillway-reason') || undefined,
  retryAfterMs: hintOf(fields),
  requestId: fields('x-request-id') || undefined,
  status,
});

/** A failed HTTP answer. `text` is its body: `{"error": "…"}`, or anything a proxy wrote. */
export function errorFromHttp(status: number, fields: Fields, text: string): SpillwayClientError {
  const named = fields('spillway-error');
  const code = isErrorCode(named) ? named : (BY_HTTP_STATUS[status] ?? (status < 500 ? 'INVALID_REQUEST' : 'INTERNAL'));
  return new SpillwayClientError(code, messageIn(text) ?? `the server answered ${status}`, described(fields, status));
}

/** A failed gRPC call. @param fields Its trailers. */
export function errorFromGrpc(status: number, details: string, fields: Fields): SpillwayClientError {
  const named = fields('spillway-error');
  const code = isErrorCode(named) ? named : (BY_GRPC_STATUS[status] ?? 'INTERNAL');
  return new SpillwayClientError(code, details || `the call ended with status ${status}`, described(fields, status));
}

/** A failure that came as data: in a message of a stream, or in place of a stored result. */
export function errorFromFields(text: string, fields: Fields): SpillwayClientError {
  const named = fields('spillway-error');
  return new SpillwayClientError(isErrorCode(named) ? named : 'INTERNAL', text, described(fields, undefined));
}

/** `{code, message, reason?, retry_after_ms?}`, as results and jobs carry it. */
export function errorFromObject(value: unknown, fields: Fields = () => undefined): SpillwayClientError {
  const { code, message, reason, retry_after_ms: hint } = (value ?? {}) as Record<string, unknown>;
  const text = typeof message === 'string' ? message : typeof value === 'string' ? value : 'failed without a message';
  return new SpillwayClientError(isErrorCode(String(code)) ? (code as ErrorCode) : 'INTERNAL', text, {
    ...described(fields, undefined),
    ...(typeof reason === 'string' && reason !== '' && { reason }),
    ...(typeof hint === 'number' && { retryAfterMs: hint }),
  });
}

/** `{"error": "…"}` of the Open Inference Protocol, or the object of the OpenAI and jobs doors. */
function messageIn(text: string): string | undefined {
  try {
    const error = (JSON.parse(text) as { error?: unknown } | null)?.error;
    if (typeof error === 'string') return error;
    const message = (error as { message?: unknown } | undefined)?.message;
    return typeof message === 'string' ? message : undefined;
  } catch {
    return text.length > 0 && text.length <= 200 ? text.trim() : undefined;
  }
}

/** No answer came: nobody listens there, or the connection broke. */
export const unreachable = (origin: string, cause: unknown): SpillwayClientError =>
  new SpillwayClientError('UNAVAILABLE', `${origin} does not answer: ${causeText(cause)}`, {
    reason: 'connection',
    cause,
  });

/** fetch says "fetch failed" and keeps what happened in the cause. */
function causeText(thrown: unknown): string {
  const inner = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  if (!(inner instanceof Error)) return String(inner);
  const { code } = inner as NodeJS.ErrnoException;
  return inner.message || (code ?? inner.name);
}

export const badInput = (message: string): SpillwayClientError => new SpillwayClientError('INVALID_REQUEST', message);
