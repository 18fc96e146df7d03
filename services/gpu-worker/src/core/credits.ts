/** One batch running and one staged in each slot: the next starts without waiting for the way to the batcher and back. */
const BATCHES_PER_SLOT = 2;

type Account = { slots: number; held: number; granted: number };

/**
 * How many batches of each model may still be asked for: two for each live slot, less what is held (from whichever batcher)
 * and less what the home may send already. Credits are additive and cannot be taken back, so slots that die make no debt:
 * nothing is granted until the balance is positive again.
 */
export class Credits {
  readonly #accounts = new Map<string, Account>();

  /** Slots of a model that can run now; 0 while its executors are being replaced. */
  setSlots(model: string, slots: number): void {
    this.#account(model).slots = slots;
  }

  /** A batch came. `fromHome`: it used a credit. */
  accepted(model: string, fromHome: boolean): void {
    const account = this.#account(model);
    account.held += 1;
    if (fromHome && account.granted > 0) account.granted -= 1;
  }

  /** A batch is over, whatever became of it. */
  finished(model: string): void {
    this.#account(model).held -= 1;
  }

  /** The home left or changed: what it was granted is void. */
  revokeAll(): void {
    for (const account of this.#accounts.values()) account.granted = 0;
  }

  /** The model is served no more, and batchers hear so: what they were granted of it is void. */
  revoke(model: string): void {
    this.#account(model).granted = 0;
  }

  /** Credits of a model to send to the home now; they count as sent. */
  take(model: string): number {
    const account = this.#account(model);
    const open = account.slots * BATCHES_PER_SLOT - account.held - account.granted;
    if (open <= 0) return 0;
    account.granted += open;
    return open;
  }

  /** They could not be sent after all. */
  untake(model: string, batches: number): void {
    this.#account(model).granted -= batches;
  }

  models(): string[] {
    return [...this.#accounts.keys()];
  }

  held(): number {
    let held = 0;
    for (const account of this.#accounts.values()) held += account.held;
    return held;
  }

  #account(model: string): Account {
    let account = this.#accounts.get(model);
    if (account === undefined) {
      account = { slots: 0, held: 0, granted: 0 };
      this.#accounts.set(model, account);
    }
    return account;
  }
}
