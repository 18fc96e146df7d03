/**
 * - `starting`: live, waiting for what it needs; not ready.
 * - `ready`: takes work.
 * - `draining`: takes no new work, finishes what is in flight.
 * - `stopped`: everything is closed; final.
 * - `failed`: cannot go on; only closing is left.
 */
export type State = 'starting' | 'ready' | 'draining' | 'stopped' | 'failed';

const NEXT = {
  starting: ['ready', 'draining', 'stopped', 'failed'],
  ready: ['draining', 'stopped', 'failed'],
  draining: ['stopped', 'failed'],
  failed: ['draining', 'stopped'],
  stopped: [],
} as const satisfies Record<State, readonly State[]>;

/** The state of a service, by name. Listeners run in order of registration, before `set` returns. */
export class StateMachine {
  #state: State = 'starting';
  readonly #listeners = new Set<(state: State, previous: State) => void>();

  get(): State {
    return this.#state;
  }

  /** Setting the present state again does nothing. @throws Error on a step that no service may take: a bug. */
  set(state: State): void {
    const previous = this.#state;
    if (state === previous) return;
    const allowed: readonly State[] = NEXT[previous];
    if (!allowed.includes(state)) throw new Error(`bug: a service cannot go from ${previous} to ${state}`);
    this.#state = state;
    for (const listener of this.#listeners) listener(state, previous);
  }

  /** @returns A function that ends the subscription. */
  onChange(listener: (state: State, previous: State) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }
}
