import { Histogram } from './histogram.ts';

export const BIN_MS = 50;

/** A stretch of time; a call counts where it began. */
export type Phase = { name: string; fromMs: number; toMs: number };

/** What became of the calls of one flow that began in one phase. */
export class Cell {
  calls = 0;
  attempts = 0;
  /** Attempts that the service took in. */
  admitted = 0;
  answered = 0;
  degraded = 0;
  tickets = 0;
  refused = 0;
  expired = 0;
  failed = 0;
  /** Attempts that ended without an answer, and those of them that were told so within 10 ms. */
  failures = 0;
  refusedSoon = 0;
  readonly latency = new Histogram();
  readonly refusalLatency = new Histogram();
  readonly reasons = new Map<string, number>();

  addAll(other: Cell): this {
    for (const key of SUMS) this[key] += other[key];
    this.latency.addAll(other.latency);
    this.refusalLatency.addAll(other.refusalLatency);
    for (const [reason, n] of other.reasons) this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + n);
    return this;
  }

  /** Calls that got what they asked for. */
  get success(): number {
    return this.calls === 0 ? Number.NaN : this.answered / this.calls;
  }
}

const SUMS = [
  'calls',
  'attempts',
  'admitted',
  'answered',
  'degraded',
  'tickets',
  'refused',
  'expired',
  'failed',
  'failures',
  'refusedSoon',
] as const;

/** Amounts in bins of `BIN_MS`. */
export class Timeline {
  readonly #bins: number[] = [];

  add(atMs: number, amount: number): void {
    const bin = Math.floor(atMs / BIN_MS);
    while (this.#bins.length <= bin) this.#bins.push(0);
    this.#bins[bin] = (this.#bins[bin] as number) + amount;
  }

  /** Of one bin that begins at this time. */
  at(atMs: number): number {
    return this.#bins[Math.floor(atMs / BIN_MS)] ?? 0;
  }

  /** Both ends are rounded down to a bin. */
  sum(fromMs: number, toMs: number): number {
    let sum = 0;
    for (let bin = Math.floor(fromMs / BIN_MS); bin < Math.floor(toMs / BIN_MS); bin += 1) sum += this.#bins[bin] ?? 0;
    return sum;
  }
}

/** `toldMs`: how long the caller was told to wait. */
export type Hint = { atMs: number; toldMs: number; answered: boolean };

/** Rows that ran in one phase. */
export type Runs = { rows: number; startedLate: number; endedLate: number; busyMs: number };

/** Everything that a run of the simulator counts. */
export class Tally {
  readonly phases: readonly Phase[];
  readonly #cells: Cell[][];
  readonly #flows: readonly string[];
  readonly runs: Runs[];
  /** Milliseconds of one instance at full batches that the answered rows stand for, by the time of the answer. */
  readonly answeredWork: Timeline[];
  /** Calls and answered calls, by the time they began. */
  readonly begun: Timeline[];
  readonly answered: Timeline[];
  /** Second tries at the time that was told. */
  readonly #hints: Hint[] = [];
  readonly levels: { atMs: number; level: number }[] = [];

  constructor(phases: readonly Phase[], flows: readonly string[]) {
    this.phases = phases;
    this.#flows = flows;
    this.#cells = flows.map(() => [...phases.map(() => new Cell()), new Cell()]);
    this.runs = phases.map(() => ({ rows: 0, startedLate: 0, endedLate: 0, busyMs: 0 }));
    this.answeredWork = flows.map(() => new Timeline());
    this.begun = flows.map(() => new Timeline());
    this.answered = flows.map(() => new Timeline());
  }

  phaseIndex(atMs: number): number {
    const found = this.phases.findIndex(({ fromMs, toMs }) => atMs >= fromMs && atMs < toMs);
    return found < 0 ? this.phases.length : found; // the last cell takes what is outside
  }

  cellAt(flow: number, atMs: number): Cell {
    return (this.#cells[flow] as Cell[])[this.phaseIndex(atMs)] as Cell;
  }

  phase(name: string): Phase {
    const found = this.phases.find((phase) => phase.name === name);
    if (found === undefined) throw new Error(`bug: no phase ${name}`);
    return found;
  }

  /** The flows whose names the filter takes, together; all by default. */
  cell(phase: string, takes: (flow: string) => boolean = () => true): Cell {
    const index = this.phases.findIndex(({ name }) => name === phase);
    const sum = new Cell();
    for (const [flow, cells] of this.#cells.entries()) {
      if (takes(this.#flows[flow] as string)) sum.addAll(cells[index] as Cell);
    }
    return sum;
  }

  run(atMs: number, rows: number, startedLate: number, endedLate: number, runMs: number): void {
    const runs = this.runs[this.phaseIndex(atMs)];
    if (runs === undefined) return;
    runs.rows += rows;
    runs.startedLate += startedLate;
    runs.endedLate += endedLate;
    runs.busyMs += runMs;
  }

  hint(hint: Hint): void {
    this.#hints.push(hint);
  }

  /** Of the tries that were due between the two times. */
  hintsBetween(fromMs: number, toMs: number) {
    const hints = this.#hints.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
    const told = hints.map(({ toldMs }) => toldMs).sort((a, b) => a - b);
    return {
      tried: hints.length,
      answered: hints.filter(({ answered }) => answered).length,
      longestMs: told.at(-1) ?? Number.NaN,
      medianMs: told[told.length >> 1] ?? Number.NaN,
    };
  }

  runsOf(phase: string): Runs {
    return this.runs[this.phases.findIndex(({ name }) => name === phase)] as Runs;
  }

  /** Instances kept busy with rows that were answered in time, on average. */
  work(fromMs: number, toMs: number, takes: (flow: string) => boolean = () => true): number {
    let sum = 0;
    for (const [flow, line] of this.answeredWork.entries()) {
      if (takes(this.#flows[flow] as string)) sum += line.sum(fromMs, toMs);
    }
    return sum / (toMs - fromMs);
  }

  /** Share of the calls begun between the two times that were answered. */
  successBetween(fromMs: number, toMs: number): number {
    const sum = (lines: readonly Timeline[]): number =>
      lines.reduce((total, line) => total + line.sum(fromMs, toMs), 0);
    const begun = sum(this.begun);
    return begun === 0 ? 1 : sum(this.answered) / begun;
  }
}
