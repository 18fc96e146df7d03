import { SpillwayClientError } from './errors.ts';

/** Where time comes from; tests have their own. */
export type Clock = {
  /** Monotonic milliseconds. */
  now(): number;
  /** Calls back once; returns what takes it back. */
  after(ms: number, callback: () => void): () => void;
};

/** Longer timers fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, Math.min(ms, MAX_TIMER_MS));
    return () => clearTimeout(timer);
  },
};

/** Time for the mesh's own answer, which names the reason, to arrive at its deadline. */
const GRACE_MS = 100;

/** What one call of the client may take: its deadline over all tries, and the caller's own signal. Dispose it when the call ends. */
export class CallScope implements Disposable {
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  readonly #deadlineMs: number;
  readonly #stopTimer: () => void;
  readonly #forget: () => void;

  /** @param timeoutMs Infinity: no deadline. */
  constructor(clock: Clock, timeoutMs: number, signal: AbortSignal | undefined) {
    this.#clock = clock;
    this.#deadlineMs = clock.now() + timeoutMs;
    this.#stopTimer = Number.isFinite(timeoutMs)
      ? clock.after(timeoutMs + GRACE_MS, () => this.#controller.abort(deadlineExceeded(timeoutMs)))
      : () => undefined;
    const cancel = () => this.#controller.abort(cancelled(signal?.reason));
    this.#forget = () => signal?.removeEventListener('abort', cancel);
    if (signal?.aborted === true) cancel();
    else signal?.addEventListener('abort', cancel, { once: true });
  }

  /** Its reason is a SpillwayClientError: `DEADLINE_EXCEEDED` or `CANCELLED`. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get leftMs(): number {
    return Math.max(0, this.#deadlineMs - this.#clock.now());
  }

  /** @throws SpillwayClientError when the call ends first. */
  async sleep(ms: number): Promise<void> {
    this.signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const stop = this.#clock.after(ms, resolve);
    const give = () => {
      stop();
      reject(this.signal.reason);
    };
    this.signal.addEventListener('abort', give, { once: true });
    await promise.finally(() => this.signal.removeEventListener('abort', give));
  }

  /** What the promise says, unless the call ends first. */
  async race<T>(promise: Promise<T>): Promise<T> {
    this.signal.throwIfAborted();
    const { promise: ended, reject } = Promise.withResolvers<never>();
    const give = () => reject(this.signal.reason);
    this.signal.addEventListener('abort', give, { once: true });
    return await Promise.race([promise, ended]).finally(() => this.signal.removeEventListener('abort', give));
  }

  [Symbol.dispose](): void {
    this.#stopTimer();
    this.#forget();
  }
}

const deadlineExceeded = (timeoutMs: number): SpillwayClientError =>
  new SpillwayClientError('DEADLINE_EXCEEDED', `no answer within ${timeoutMs} ms`, { reason: 'client_deadline' });

export const cancelled = (cause: unknown): SpillwayClientError =>
  new SpillwayClientError('CANCELLED', 'the call was cancelled', { cause });
