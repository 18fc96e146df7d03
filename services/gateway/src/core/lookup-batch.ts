import type { Clock } from '@spillway/lifecycle/clock';
import { Pending } from './pending.ts';

type Unanswered<Q, A> = {
  seq: number;
  question: Q;
  done: (answer: A | undefined) => void;
  sent: boolean;
  deadlineMs: number;
};

/**
 * Collects the questions of one turn of the event loop into one message, and matches the answers by id. What is not
 * answered when the connection is lost is handed back.
 */
export class LookupBatch<Q extends { id: number }, A extends { id: number }> {
  readonly #unanswered: Pending<Unanswered<Q, A>>;
  readonly #most: number;
  #turn: Unanswered<Q, A>[] = [];

  /** @param most Questions that can be unanswered at once. */
  constructor(clock: Clock, most: number) {
    this.#unanswered = new Pending(clock, most);
    this.#most = most;
  }

  get size(): number {
    return this.#unanswered.size;
  }

  /** @returns True: this is the first question of the turn, so somebody must `take()` at its end. */
  ask(makeQuestion: (id: number) => Q, deadlineMs: number, done: (answer: A | undefined) => void): boolean {
    if (this.#unanswered.size >= this.#most) {
      done(undefined);
      return false;
    }
    const seq = this.#unanswered.nextSeq();
    const entry = { seq, question: makeQuestion(seq), done, sent: false, deadlineMs };
    this.#unanswered.add(entry);
    this.#turn.push(entry);
    return this.#turn.length === 1;
  }

  take(): Q[] {
    const entries = this.#turn;
    this.#turn = [];
    return entries.map((entry) => {
      entry.sent = true;
      return entry.question;
    });
  }

  answer(answer: A): void {
    this.#unanswered.take(answer.id)?.done(answer);
  }

  /** Questions that were sent and not answered, to be asked again on another connection. */
  unanswered(): Q[] {
    return this.#unanswered.list(({ sent }) => sent).map(({ question }) => question);
  }

  /** Ends what has waited too long with `undefined`. */
  expire(): void {
    for (const { done } of this.#unanswered.expired()) done(undefined);
  }

  failAll(): void {
    this.#turn = [];
    for (const { done } of this.#unanswered.takeAll()) done(undefined);
  }
}
