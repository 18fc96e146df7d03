import type { Bus } from '@spillway/bus/bus';
import { type BucketWatch, openBucket } from '@spillway/bus/kv';
import { type CommandOutcome, MODEL_COMMANDS, type ModelCommand } from '@spillway/contracts/buckets';
import { isName } from '@spillway/contracts/names';
import { CommandLedger } from '../core/command-ledger.ts';
import { messageOf } from '../core/message-of.ts';

export type Following = {
  /** @returns What went wrong. @throws Whatever: it becomes the text of the outcome. */
  apply: (command: ModelCommand) => Promise<CommandOutcome['error']>;
  /** There is a new outcome. */
  onOutcome: (command: ModelCommand, error: CommandOutcome['error']) => void;
};

/** Hears the commands to load and unload models, and has them followed: one at a time for each model, side by side for several. */
export class CommandFollower implements Disposable {
  readonly ledger = new CommandLedger();
  readonly #watch: BucketWatch;
  readonly #busy = new Set<string>();
  #following: Following | undefined;
  #stopped = false;

  constructor(bus: Bus) {
    this.#watch = openBucket<ModelCommand>(bus, MODEL_COMMANDS).watch((model, command) => {
      if (!isName(model)) return;
      if (command === undefined) this.ledger.forget(model);
      else this.ledger.hear({ ...command, model });
      void this.#follow(model);
    });
  }

  /** Resolves when every command that was given before is known. */
  get loaded(): Promise<void> {
    return this.#watch.loaded;
  }

  /** Until this is called commands are only heard. */
  follow(following: Following): void {
    this.#following = following;
    for (const { model } of this.ledger.commands()) void this.#follow(model);
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
    this.#watch.stop();
  }

  async #follow(model: string): Promise<void> {
    if (this.#following === undefined || this.#busy.has(model)) return;
    this.#busy.add(model);
    const { apply, onOutcome } = this.#following;
    for (let command = this.ledger.next(model); command && !this.#stopped; command = this.ledger.next(model)) {
      const { id } = command;
      const error = await apply(command).catch((thrown: unknown) => ({ text: messageOf(thrown), missing: false }));
      if (this.#stopped) break;
      this.ledger.settle({ id, model }, error);
      onOutcome(command, error);
    }
    this.#busy.delete(model);
  }
}
