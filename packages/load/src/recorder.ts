import type { Answer, Attempt } from './attempt.ts';
import { Histogram } from './histogram.ts';
import type { PhaseTimes } from './profile.ts';
import { Series } from './series.ts';

/** How an attempt counts. `good`: in its deadline, right, of full quality. */
export const ENDS = ['good', 'degraded', 'ticket', 'late', 'refused', 'failed', 'cancelled', 'wrong'] as const;
export type End = (typeof ENDS)[number];

/** What is counted by windows: each under the time at which the attempt, or its request, was due. */
export const COUNTS = ['offered', 'attempts', 'served', ...ENDS] as const;
export type Count = (typeof COUNTS)[number];

export const WINDOW_MS = 100;
/** A refusal within this helps its caller; a later one costs time, too. */
export const PROMPT_REFUSAL_MS = 10;

/** What is kept of one group in one phase. Latencies in µs. */
export type Cell = {
  latency: Histogram;
  refusalLatency: Histogram;
  promptRefusals: number;
  queue: Histogram;
  reasons: { refused: Map<string, number>; failed: Map<string, number> };
  /** Answers by the rows of their batch. */
  batches: Map<number, number>;
  hints: { given: Histogram; retried: number; served: number; refusedAgain: number };
  /** Answers whose class was another than the one that was asked for. */
  otherClass: number;
};

export type Group = {
  name: string;
  counts: Record<Count, Series>;
  /** One for each phase, and one for what was due after the last. */
  cells: readonly Cell[];
  /** Latency of what was served, by slices of the timeline. */
  slices: Histogram[];
};

const newCell = (): Cell => ({
  latency: new Histogram(),
  refusalLatency: new Histogram(),
  promptRefusals: 0,
  queue: new Histogram(),
  reasons: { refused: new Map(), failed: new Map() },
  batches: new Map(),
  hints: { given: new Histogram(), retried: 0, served: 0, refusedAgain: 0 },
  otherClass: 0,
});

const count = <K>(map: Map<K, number>, key: K): void => void map.set(key, (map.get(key) ?? 0) + 1);

export type RecorderOptions = {
  /** Name of the group of each kind. */
  groups: readonly string[];
  phases: readonly PhaseTimes[];
  sliceMs: number;
  startMs: number;
};

/** Counts what clients see, by group and time. Holds histograms and counters, never a request. */
export class Recorder {
  readonly groups: readonly Group[];
  /** How late attempts were sent, by phase, in µs. */
  readonly lateness: readonly Histogram[];
  readonly batchRows = new Series();
  readonly batchAnswers = new Series();
  readonly sliceMs: number;
  readonly phases: readonly PhaseTimes[];
  readonly #groupOf: readonly Group[];
  readonly #startMs: number;
  #unsent = 0;

  constructor({ groups, phases, sliceMs, startMs }: RecorderOptions) {
    this.#startMs = startMs;
    this.sliceMs = sliceMs;
    this.phases = phases;
    this.groups = [...new Set(groups)].map((name) => ({
      name,
      counts: Object.fromEntries(COUNTS.map((key) => [key, new Series()])) as Record<Count, Series>,
      cells: [...phases, undefined].map(newCell),
      slices: [],
    }));
    this.#groupOf = groups.map((name) => this.groups.find((group) => group.name === name) as Group);
    this.lateness = [...phases, undefined].map(() => new Histogram());
  }

  /** Requests that were not sent because too many were open. */
  get unsent(): number {
    return this.#unsent;
  }

  /** @param dueMs On the clock that `startMs` is of. */
  sent(kindIndex: number, tries: number, dueMs: number, sentMs: number): void {
    const { counts } = this.#groupOf[kindIndex] as Group;
    const window = this.#windowOf(dueMs);
    counts.attempts.add(window, 1);
    if (tries === 1) counts.offered.add(window, 1);
    this.lateness[this.#phaseOf(dueMs)]?.record((sentMs - dueMs) * 1_000);
  }

  notSent(kindIndex: number, dueMs: number): void {
    this.#unsent += 1;
    const { counts, cells } = this.#groupOf[kindIndex] as Group;
    const window = this.#windowOf(dueMs);
    counts.offered.add(window, 1);
    counts.failed.add(window, 1);
    count((cells[this.#phaseOf(dueMs)] as Cell).reasons.failed, 'not sent: too many in flight');
  }

  /** @returns How the attempt counts. */
  ended(attempt: Attempt, answer: Answer, nowMs: number): End {
    const group = this.#groupOf[attempt.kindIndex] as Group;
    const end = endOf(attempt, answer, nowMs);
    group.counts[end].add(this.#windowOf(attempt.dueMs), 1);
    const cell = group.cells[this.#phaseOf(attempt.dueMs)] as Cell;
    const latencyUs = (nowMs - attempt.zeroMs) * 1_000;
    if (end === 'refused') this.#refused(cell, answer, (nowMs - attempt.dueMs) * 1_000);
    else if (end === 'failed' || end === 'wrong') count(cell.reasons.failed, end === 'wrong' ? 'wrong' : answer.reason);
    else {
      cell.latency.record(latencyUs);
      this.#slice(group, attempt.dueMs).record(latencyUs);
      this.#receipt(cell, attempt, answer);
    }
    const isServed = end === 'good' || end === 'degraded';
    if (isServed) group.counts.served.add(this.#windowOf(attempt.firstDueMs), 1);
    if (attempt.tries > 1 && attempt.kind.retry.kind !== 'naive') {
      cell.hints.retried += 1;
      if (isServed) cell.hints.served += 1;
      else if (end === 'refused') cell.hints.refusedAgain += 1;
    }
    return end;
  }

  cancelled(attempt: Attempt): void {
    (this.#groupOf[attempt.kindIndex] as Group).counts.cancelled.add(this.#windowOf(attempt.dueMs), 1);
  }

  #refused(cell: Cell, answer: Answer, latencyUs: number): void {
    count(cell.reasons.refused, answer.reason);
    cell.refusalLatency.record(latencyUs);
    if (latencyUs <= PROMPT_REFUSAL_MS * 1_000) cell.promptRefusals += 1;
    if (!Number.isNaN(answer.retryAfterMs)) cell.hints.given.record(answer.retryAfterMs * 1_000);
  }

  #receipt(cell: Cell, attempt: Attempt, answer: Answer): void {
    if (answer.batchRows > 0) {
      count(cell.batches, answer.batchRows);
      const slice = Math.floor(Math.max(0, attempt.dueMs - this.#startMs) / this.sliceMs);
      this.batchAnswers.add(slice, 1);
      this.batchRows.add(slice, answer.batchRows);
    }
    if (!Number.isNaN(answer.queueMs)) cell.queue.record(answer.queueMs * 1_000);
    const asked = attempt.kind.trafficClass;
    if (asked !== undefined && answer.trafficClass !== '' && answer.trafficClass !== asked) cell.otherClass += 1;
  }

  #slice(group: Group, dueMs: number): Histogram {
    const index = Math.floor(Math.max(0, dueMs - this.#startMs) / this.sliceMs);
    while (group.slices.length <= index) group.slices.push(new Histogram());
    return group.slices[index] as Histogram;
  }

  #windowOf(atMs: number): number {
    return Math.floor(Math.max(0, atMs - this.#startMs) / WINDOW_MS);
  }

  #phaseOf(atMs: number): number {
    const at = atMs - this.#startMs;
    const index = this.phases.findIndex(({ toMs }) => at < toMs);
    return index < 0 ? this.phases.length : index;
  }
}

function endOf(attempt: Attempt, answer: Answer, nowMs: number): End {
  if (answer.end === 'refused' || answer.end === 'failed' || answer.end === 'ticket') return answer.end;
  if (answer.wrong) return 'wrong';
  if (nowMs > attempt.zeroMs + attempt.deadlineMs) return 'late';
  return answer.degraded ? 'degraded' : 'good';
}
