import type { CommandOutcome, ModelCommand } from '@spillway/contracts/buckets';

/** Longest text of an error that is told to others: it travels in a lease. */
const MAX_TEXT = 500;

/**
 * The commands of a worker: which it has heard, and which it is done with. Of several for one model only the last counts, so that
 * workers end with the same models whenever they start and whatever they missed.
 */
export class CommandLedger {
  readonly #heard = new Map<string, ModelCommand>();
  readonly #done = new Map<string, CommandOutcome>();

  hear(command: ModelCommand): void {
    this.#heard.set(command.model, command);
  }

  /** The command was taken back. */
  forget(model: string): void {
    this.#heard.delete(model);
    this.#done.delete(model);
  }

  /** What is to be done for a model; undefined: nothing. */
  next(model: string): ModelCommand | undefined {
    const command = this.#heard.get(model);
    return command?.id === this.#done.get(model)?.id ? undefined : command;
  }

  /** It was followed, or could not be. One that was taken back meanwhile leaves no trace. */
  settle({ id, model }: Pick<ModelCommand, 'id' | 'model'>, error?: NonNullable<CommandOutcome['error']>): void {
    if (!this.#heard.has(model)) return;
    const told = error && { error: { ...error, text: error.text.slice(0, MAX_TEXT) } };
    this.#done.set(model, { id, model, ...told });
  }

  /** Whether a model that lies in the repository is to be served when the worker starts. */
  isWanted(model: string): boolean {
    return this.#heard.get(model)?.wanted !== 'unloaded';
  }

  commands(): ModelCommand[] {
    return [...this.#heard.values()];
  }

  /** For the lease. */
  outcomes(): CommandOutcome[] {
    return [...this.#done.values()];
  }
}
