import { type Attempt, type RunFacts, succeed } from './attempt.ts';
import { type Draw, type RunTimes, runMsOf, type SimModel, type World } from './spec.ts';

/** One batch at an instance. `ended` hears of its end with the time it ran. */
export type SimBatch = {
  model: SimModel;
  variant: string;
  rank: number;
  attempts: readonly Attempt[];
  rows: number;
  /** What an attempt still had when the batch left for the instance, ms; it is not run when it has waited longer. */
  budgetsMs: readonly number[];
  arrivedAtMs: number;
  ended: (batch: SimBatch, runMs: number) => void;
};

type Run = { batch: SimBatch; ran: readonly Attempt[]; rows: number; startedAtMs: number; endsAtMs: number };

/** An executor: runs one batch at a time, in the order they came. What its faults do is decided by the scenario. */
export class Instance {
  readonly #world: World;
  readonly #facts: RunFacts;
  readonly #draw: Draw;
  readonly #replyMs: number;
  #waiting: SimBatch[] = [];
  #run: Run | undefined;
  #stoppedSinceMs = Number.NaN;
  #alive = true;
  slowFactor = 1;

  /** @param replyMs From the end of a run to its clients. */
  constructor(world: World, facts: RunFacts, name: string, replyMs: number) {
    this.#world = world;
    this.#facts = facts;
    this.#draw = world.draw(name);
    this.#replyMs = replyMs;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Batches that run or wait here. */
  get held(): number {
    return this.#waiting.length + (this.#run === undefined ? 0 : 1);
  }

  accept(batch: SimBatch): void {
    if (!this.#alive) return;
    batch.arrivedAtMs = this.#world.sim.now();
    this.#waiting.push(batch);
    this.#next();
  }

  /** Stands still until `resume`: a hung kernel, a stopped process. */
  stop(): void {
    if (Number.isNaN(this.#stoppedSinceMs)) this.#stoppedSinceMs = this.#world.sim.now();
  }

  resume(): void {
    const stoodMs = this.#world.sim.now() - this.#stoppedSinceMs;
    this.#stoppedSinceMs = Number.NaN;
    if (Number.isNaN(stoodMs)) return;
    const run = this.#run;
    if (run !== undefined) {
      run.endsAtMs += stoodMs;
      this.#world.sim.at(Math.max(run.endsAtMs, this.#world.sim.now()), this.#end, run);
    }
    this.#next();
  }

  /** Loses what it has. */
  kill(): void {
    this.#alive = false;
    this.#waiting = [];
    this.#run = undefined;
    this.#stoppedSinceMs = Number.NaN;
  }

  revive(): void {
    this.#alive = true;
  }

  get #stopped(): boolean {
    return !Number.isNaN(this.#stoppedSinceMs);
  }

  #next(): void {
    if (this.#run !== undefined || this.#stopped) return;
    const batch = this.#waiting.shift();
    if (batch === undefined) return;
    const { sim, spec } = this.#world;
    const nowMs = sim.now();
    const waitedMs = nowMs - batch.arrivedAtMs;
    const ran: Attempt[] = [];
    let rows = 0;
    for (const [n, attempt] of batch.attempts.entries()) {
      if (waitedMs >= (batch.budgetsMs[n] as number)) continue;
      ran.push(attempt);
      rows += attempt.rows;
    }
    const times: RunTimes = batch.model.variants?.[batch.variant] ?? batch.model;
    const noise = 1 + spec.noise * (2 * this.#draw() - 1);
    const runMs = rows === 0 ? 0 : runMsOf(times, rows) * noise * this.slowFactor;
    this.#run = { batch, ran, rows, startedAtMs: nowMs, endsAtMs: nowMs + runMs };
    sim.after(runMs, this.#end, this.#run);
  }

  readonly #end = (run: Run): void => {
    const { sim } = this.#world;
    const nowMs = sim.now();
    if (this.#run !== run || this.#stopped || nowMs < run.endsAtMs) return; // it was killed or stood still
    this.#run = undefined;
    let [startedLate, endedLate] = [0, 0];
    for (const { deadlineMs, rows, open } of run.ran) {
      if (deadlineMs < run.startedAtMs) startedLate += rows;
      if (deadlineMs < nowMs || !open) endedLate += rows;
    }
    this.#facts.onRun(run.rows, startedLate, endedLate, nowMs - run.startedAtMs);
    sim.after(this.#replyMs, this.#answer, run);
    run.batch.ended(run.batch, nowMs - run.startedAtMs);
    this.#next();
  };

  readonly #answer = (run: Run): void => {
    for (const attempt of run.ran) succeed(attempt);
  };
}
