import type { Dispatcher } from '../core/dispatcher.ts';
import type { Dispatch } from '../core/in-flight.ts';
import type { Work } from '../core/work.ts';

export type DispatchLoopOptions = {
  dispatcher: Dispatcher;
  send: (dispatch: Dispatch) => void;
  expired: (work: readonly Work[]) => void;
  /** After a model's batches have left: there may be room for more. */
  replenish: (model: string) => void;
};

/**
 * Asks the core what may leave, once per turn of the event loop and model, whatever happened in between: all frames and credits
 * of a turn are seen together, which makes larger batches at no delay. Owns the only timers: lingering batches and pauses.
 */
export class DispatchLoop {
  readonly #options: DispatchLoopOptions;
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #woken = new Set<string>();
  #scheduled: NodeJS.Immediate | undefined;

  constructor(options: DispatchLoopOptions) {
    this.#options = options;
  }

  readonly wake = (model: string): void => {
    this.#woken.add(model);
    this.#scheduled ??= setImmediate(this.#run);
  };

  stop(): void {
    clearImmediate(this.#scheduled);
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  readonly #run = (): void => {
    const woken = this.#woken;
    this.#woken = new Set();
    this.#scheduled = undefined;
    for (const model of woken) this.#dispatch(model);
  };

  #dispatch(model: string): void {
    const { dispatcher, send, expired, replenish } = this.#options;
    let retryInMs = Number.POSITIVE_INFINITY;
    for (;;) {
      const step = dispatcher.next(model);
      if (step.expired.length > 0) expired(step.expired);
      if (step.dispatch === undefined) {
        retryInMs = step.retryInMs;
        break;
      }
      send(step.dispatch);
    }
    replenish(model);
    this.#retry(model, retryInMs);
  }

  #retry(model: string, inMs: number): void {
    const known = this.#timers.get(model);
    if (known === undefined && inMs === Number.POSITIVE_INFINITY) return;
    clearTimeout(known);
    this.#timers.delete(model);
    if (inMs === Number.POSITIVE_INFINITY) return;
    this.#timers.set(
      model,
      setTimeout(() => this.wake(model), inMs),
    );
  }
}
