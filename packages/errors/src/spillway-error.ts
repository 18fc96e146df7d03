import { type ErrorCode, isErrorCode } from './catalogue.ts';

/**
 * `reason` names the knob that fired; `retryAfterMs` is the hint; `autoRetry` false: generic clients that repeat on their own
 * are told not to; `cause` is for the log and never leaves the process.
 */
export type SpillwayErrorOptions = {
  cause?: unknown;
  reason?: string | undefined;
  retryAfterMs?: number | undefined;
  autoRetry?: boolean | undefined;
};

/** What a caller is told about a bug: a constant, so that nothing of the inside gets out with it. */
export const INTERNAL_MESSAGE = 'internal error; the details are in the log of the service';

const CANCELLED_MESSAGE = 'the request was cancelled';

/**
 * The one error that crosses borders. Decide on `code`: not on instanceof, not on text. `message` is for the caller (expected,
 * got, knob): never a stack, a path, a peer's name or a secret.
 */
export class SpillwayError extends Error {
  override readonly name = 'SpillwayError';
  readonly code: ErrorCode;
  readonly reason: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly autoRetry: boolean;

  constructor(code: ErrorCode, message: string, options: SpillwayErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.reason = options.reason;
    this.retryAfterMs = options.retryAfterMs;
    this.autoRetry = options.autoRetry ?? true;
  }

  /**
   * A refusal that admission decided, without a stack: it is no fault, nobody looks for its place, and under a flood most of the
   * cost of an error would be its stack.
   */
  static refusal(code: ErrorCode, message: string, options: SpillwayErrorOptions): SpillwayError {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    try {
      return new SpillwayError(code, message, options);
    } finally {
      Error.stackTraceLimit = limit;
    }
  }

  /** The one funnel from anything thrown: typed passes, an abort becomes CANCELLED, the rest INTERNAL with its cause kept. */
  static from(thrown: unknown): SpillwayError {
    if (isSpillwayError(thrown)) return thrown;
    if (isAbort(thrown)) return new SpillwayError('CANCELLED', CANCELLED_MESSAGE, { cause: thrown });
    return new SpillwayError('INTERNAL', INTERNAL_MESSAGE, { cause: thrown });
  }
}

/** Recognised by shape: a second copy of this package in one process must not turn typed errors into INTERNAL. */
export function isSpillwayError(thrown: unknown): thrown is SpillwayError {
  if (!(thrown instanceof Error) || thrown.name !== 'SpillwayError') return false;
  return 'code' in thrown && typeof thrown.code === 'string' && isErrorCode(thrown.code);
}

const isAbort = (thrown: unknown): boolean => thrown instanceof Error && thrown.name === 'AbortError';
