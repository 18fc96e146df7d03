import type { Clock } from '@spillway/lifecycle/clock';

type Account = { held: number; lastMs: number };

/** When a model was last asked for: one that leaves goes when nothing comes any more. A batch costs two map look-ups. */
export class Traffic {
  readonly #clock: Clock;
  readonly #accounts = new Map<string, Account>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A batch came. */
  came(model: string): void {
    this.#account(model).held += 1;
  }

  /** A batch is over, whatever became of it. */
  ended(model: string): void {
    const account = this.#account(model);
    account.held -= 1;
    account.lastMs = this.#clock.now();
  }

  /** Since the last batch ended; 0 while there is one, Infinity when there never was. */
  quietMs(model: string): number {
    const account = this.#accounts.get(model);
    if (account === undefined) return Number.POSITIVE_INFINITY;
    return account.held > 0 ? 0 : this.#clock.now() - account.lastMs;
  }

  #account(model: string): Account {
    let account = this.#accounts.get(model);
    if (account === undefined) {
      account = { held: 0, lastMs: 0 };
      this.#accounts.set(model, account);
    }
    return account;
  }
}
