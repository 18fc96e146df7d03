import type { Clock } from '@spillway/lifecycle/clock';
import { Agenda } from './agenda.ts';
import type { Arrivals } from './arrivals.ts';
import { type Answer, type Attempt, failed, firstAttempt, type Transport } from './attempt.ts';
import { choose, type Kind } from './kind.ts';
import type { Random } from './random.ts';
import type { Recorder } from './recorder.ts';
import { nextTryInMs, RetryBudget } from './retry.ts';

export type LoopOptions = {
  clock: Clock;
  kinds: readonly Kind[];
  /** The transport of each kind. */
  transports: readonly Transport[];
  arrivals: Arrivals;
  /** Kind of the request that is due at a time, in ms from the start. */
  kindAt: (dueMs: number) => number;
  random: Random;
  recorder: Recorder;
  startMs: number;
  /** How long beyond its deadline an answer is waited for. */
  patienceMs: number;
  maxInFlight: number;
  /** Number of the first input. */
  firstInput: number;
};

/** A further try, or the end of an attempt's patience. */
type Entry = { attempt: Attempt; what: 'again' | 'cancel' | 'timeout' };

/**
 * The open loop: each request is sent when it is due, whatever became of those before. Holds no timer: whoever owns it calls
 * `tick` about every millisecond.
 */
export class LoadLoop {
  readonly #options: LoopOptions;
  readonly #agenda = new Agenda<Entry>();
  readonly #budgets: readonly RetryBudget[];
  #nextDueMs: number;
  #input: number;
  #inFlight = 0;
  #mostInFlight = 0;
  #waiting = 0;

  constructor(options: LoopOptions) {
    this.#options = options;
    this.#budgets = options.kinds.map(() => new RetryBudget());
    this.#input = options.firstInput;
    this.#nextDueMs = options.startMs + options.arrivals.next();
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get mostInFlight(): number {
    return this.#mostInFlight;
  }

  /** All that was due was sent, and everything has ended. */
  get finished(): boolean {
    return this.#nextDueMs === Number.POSITIVE_INFINITY && this.#inFlight === 0 && this.#waiting === 0;
  }

  /** When the next thing is due, on the clock. */
  get nextMs(): number {
    return Math.min(this.#nextDueMs, this.#agenda.nextMs);
  }

  /** Does everything whose time has come. */
  tick(): void {
    const { clock, arrivals, kindAt, startMs } = this.#options;
    const nowMs = clock.now();
    while (this.#nextDueMs <= nowMs) {
      const dueMs = this.#nextDueMs;
      this.#nextDueMs = startMs + arrivals.next();
      this.#begin(kindAt(dueMs - startMs), dueMs);
    }
    for (let entry = this.#agenda.takeDue(nowMs); entry !== undefined; entry = this.#agenda.takeDue(nowMs)) {
      this.#happen(entry);
    }
  }

  /** No further requests and tries; what is in flight is given up. */
  stop(): void {
    this.#nextDueMs = Number.POSITIVE_INFINITY;
    for (let e = this.#agenda.takeDue(Number.MAX_VALUE); e !== undefined; e = this.#agenda.takeDue(Number.MAX_VALUE)) {
      if (e.what === 'again') this.#waiting -= 1;
      else if (e.what === 'timeout' && !e.attempt.over) {
        this.#close(e.attempt);
        this.#options.recorder.cancelled(e.attempt);
      }
    }
  }

  #begin(kindIndex: number, dueMs: number): void {
    const { kinds, recorder, maxInFlight, random } = this.#options;
    if (this.#inFlight >= maxInFlight) {
      recorder.notSent(kindIndex, dueMs);
      return;
    }
    const kind = kinds[kindIndex] as Kind;
    const deadlineMs = choose(kind.deadlineMs, random);
    this.#input += 1;
    const attempt = firstAttempt({ kind, kindIndex, input: this.#input, deadlineMs }, dueMs);
    this.#send(attempt);
    if (kind.cancel !== undefined && random() < kind.cancel.probability) {
      this.#agenda.add(dueMs + kind.cancel.afterMs, { attempt, what: 'cancel' });
    }
  }

  #send(attempt: Attempt): void {
    const { clock, recorder, transports, patienceMs } = this.#options;
    this.#inFlight += 1;
    if (this.#inFlight > this.#mostInFlight) this.#mostInFlight = this.#inFlight;
    recorder.sent(attempt.kindIndex, attempt.tries, attempt.dueMs, clock.now());
    this.#agenda.add(attempt.zeroMs + attempt.deadlineMs + patienceMs, { attempt, what: 'timeout' });
    const transport = transports[attempt.kindIndex] as Transport;
    attempt.giveUp = transport.send(attempt, (answer) => this.#ended(attempt, answer));
  }

  #happen({ attempt, what }: Entry): void {
    if (what === 'again') {
      this.#waiting -= 1;
      this.#send(attempt);
    } else if (!attempt.over) {
      if (what === 'timeout') {
        this.#ended(attempt, failed('no answer in time'));
        attempt.giveUp?.();
      } else {
        this.#close(attempt);
        this.#options.recorder.cancelled(attempt);
      }
    }
  }

  #close(attempt: Attempt): void {
    attempt.over = true;
    this.#inFlight -= 1;
    attempt.giveUp?.();
  }

  #ended(attempt: Attempt, answer: Answer): void {
    if (attempt.over) return;
    attempt.over = true;
    this.#inFlight -= 1;
    const { clock, random, recorder } = this.#options;
    const nowMs = clock.now();
    const end = recorder.ended(attempt, answer, nowMs);
    const budget = this.#budgets[attempt.kindIndex] as RetryBudget;
    if (end === 'good' || end === 'degraded') budget.succeeded();
    if (end !== 'refused' && end !== 'failed') return;
    const { retryAfterMs } = answer;
    const leftMs = attempt.zeroMs + attempt.deadlineMs - nowMs;
    const how = { tries: attempt.tries, refused: end === 'refused', retryAfterMs, leftMs };
    const inMs = nextTryInMs(attempt.kind.retry, how, budget, random);
    if (inMs !== undefined) this.#tryAgain(attempt, nowMs + inMs);
  }

  #tryAgain(before: Attempt, dueMs: number): void {
    const isShared = before.kind.retry.kind === 'budget';
    const zeroMs = isShared ? before.zeroMs : dueMs;
    const attempt: Attempt = {
      ...before,
      tries: before.tries + 1,
      dueMs,
      zeroMs,
      budgetMs: isShared ? before.zeroMs + before.deadlineMs - dueMs : before.deadlineMs,
      over: false,
      giveUp: undefined,
    };
    this.#waiting += 1;
    this.#agenda.add(dueMs, { attempt, what: 'again' });
  }
}
