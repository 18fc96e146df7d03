/**
 * Collects the questions of one turn of the event loop into one message, and matches the answers by id. What is not
 * answered when the connection is lost is handed back.
 */
export class LookupBatch<Q extends { id: number }, A extends { id: number }> {
  readonly #unanswered = new Map<
    number,
    { question: Q; done: (answer: A | undefined) => void; sent: boolean; untilMs: number }
  >();
  #turn: Q[] = [];
  #lastId = 0;

  get size(): number {
    return this.#unanswered.size;
  }

  /** @returns True: this is the first question of the turn, so somebody must `take()` at its end. */
  ask(makeQuestion: (id: number) => Q, untilMs: number, done: (answer: A | undefined) => void): boolean {
    this.#lastId = (this.#lastId + 1) >>> 0;
    const question = makeQuestion(this.#lastId);
    this.#unanswered.set(question.id, { question, done, sent: false, untilMs });
    this.#turn.push(question);
    return this.#turn.length === 1;
  }

  take(): Q[] {
    const questions = this.#turn;
    this.#turn = [];
    for (const { id } of questions) {
      const entry = this.#unanswered.get(id);
      if (entry) entry.sent = true;
    }
    return questions;
  }

  answer(answer: A): void {
    const entry = this.#unanswered.get(answer.id);
    if (entry === undefined) return;
    this.#unanswered.delete(answer.id);
    entry.done(answer);
  }

  /** Questions that were sent and not answered, to be asked again on another connection. */
  unanswered(): Q[] {
    return [...this.#unanswered.values()].filter((entry) => entry.sent).map((entry) => entry.question);
  }

  /** Ends what has waited too long with `undefined`. */
  expire(nowMs: number): void {
    for (const [id, entry] of this.#unanswered) {
      if (entry.untilMs > nowMs) continue;
      this.#unanswered.delete(id);
      entry.done(undefined);
    }
  }

  failAll(): void {
    const entries = [...this.#unanswered.values()];
    this.#unanswered.clear();
    this.#turn = [];
    for (const { done } of entries) done(undefined);
  }
}
