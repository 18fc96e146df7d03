import { CLASSES } from '@spillway/contracts/classes';
import type { Clock } from '@spillway/lifecycle/clock';

/** What the queue knows of a request. Times are on the queue's own clock; Infinity is a deadline that never comes. */
export type Queued = {
  /** Of its class: 0 leaves first. */
  readonly rank: number;
  /** Only requests with equal keys share a batch. */
  readonly key: string;
  readonly rows: number;
  readonly cost: number;
  /** What it adds to the message that carries the batch. */
  readonly bytes: number;
  readonly deadlineMs: number;
  readonly enqueuedAtMs: number;
  /** Place inside the class: the deadline, or -Infinity for a request that goes back to the head. */
  readonly orderMs: number;
};

/** Why a batch left when it did: the values of `Batch.closed_by`. */
export type CloseReason = 'size' | 'cost' | 'idle' | 'delay' | 'deadline' | 'shape' | 'drain';

/** What belongs to the model. */
export type BatchRules = {
  /** Sum of the costs in one batch; Infinity: only rows count. */
  maxBatchCost: number;
  /** Sum of the bytes in one batch: it must fit the message that carries it. */
  maxBatchBytes: number;
  /** Longest wait for companions while an instance is free; 0: a free instance takes what is there. */
  maxQueueDelayMs: number;
  /** Kept for the way back: a row must be through the model this long before its deadline. */
  replyMarginMs: number;
};

/** The instance that a batch is formed for. */
export type Place<T> = {
  /** Rows of its largest batch, ≥ 1. */
  maxRows: number;
  /** Until it can begin: a batch may be running there. */
  startInMs: number;
  predictMs(rows: number): number;
  /** False: nothing was measured lately. Then nothing is dropped or cut on the prediction's word, else a wrong one could last for ever. */
  trusted: boolean;
  /** Absent: it serves every request of the model. */
  serves?: ((entry: T) => boolean) | undefined;
};

/** `expired` have passed their deadline or can no longer meet it: they are out of the queue and must not run. */
export type Taken<T> = { batch: T[]; rows: number; closedBy: CloseReason; expired: T[] };

/** What one look over the queue says about the requests that may leave now: those that share the key of the first. */
type Survey<T> = {
  head: T | undefined;
  rows: number;
  tightestVipMs: number;
  tightestOtherMs: number;
  oldestMs: number;
  otherKeys: boolean;
  expired: T[];
};

/**
 * Decides *which* requests of one model leave together and *when*: by class, then by deadline. Holds no timer, socket or
 * logger. Every step is linear in what is held, which the pull plan keeps at a few batches.
 */
export class BatchQueue<T extends Queued> {
  readonly #clock: Clock;
  readonly #classes: T[][] = CLASSES.map(() => []);
  readonly #rows: number[] = CLASSES.map(() => 0);
  rules: BatchRules;

  constructor(clock: Clock, rules: BatchRules) {
    this.#clock = clock;
    this.rules = rules;
  }

  get empty(): boolean {
    return this.#classes.every((list) => list.length === 0);
  }

  /** Rows held of one class. */
  rowsOf(rank: number): number {
    return this.#rows[rank] ?? 0;
  }

  /** Equal places leave in the order they came. Usually the last place of its class, so nothing moves. */
  push(entry: T): void {
    const list = this.#classes[entry.rank] as T[];
    const last = list[list.length - 1];
    if (last === undefined || last.orderMs <= entry.orderMs) list.push(entry);
    else list.splice(upperBound(list, entry.orderMs), 0, entry);
    this.#rows[entry.rank] = this.rowsOf(entry.rank) + entry.rows;
  }

  /** Milliseconds until a batch should leave for this place: 0 now, Infinity nothing waits for it. */
  dueInMs(place: Place<T>): number {
    const nowMs = this.#clock.now();
    const { head, rows, oldestMs, tightestVipMs, tightestOtherMs } = this.#survey(place, nowMs, false);
    if (head === undefined) return Number.POSITIVE_INFINITY;
    if (this.rules.maxQueueDelayMs <= 0 || rows >= place.maxRows) return 0;
    const neededMs = place.startInMs + place.predictMs(rows) + this.rules.replyMarginMs;
    const slackAtMs = Math.min(tightestVipMs, tightestOtherMs) - neededMs;
    return Math.max(0, Math.min(oldestMs + this.rules.maxQueueDelayMs, slackAtMs) - nowMs);
  }

  /**
   * Removes the next batch, whether or not `dueInMs` says it should wait, and all that can no longer finish in time. Size first,
   * then rows: testing a row against the size reached so far would make it late when more rows join (docs: overload, section 7).
   */
  take(place: Place<T>, draining = false): Taken<T> {
    const nowMs = this.#clock.now();
    const survey = this.#survey(place, nowMs, true);
    const { head, expired } = survey;
    if (head === undefined) return { batch: [], rows: 0, closedBy: 'idle', expired };
    const fits = (rows: number, deadlineMs: number): boolean =>
      !place.trusted || this.#doneAtMs(place, nowMs, rows) <= deadlineMs;
    const maxRows = Math.max(place.maxRows, head.rows); // a request larger than a batch goes alone; the worker answers it
    const wanted = Math.min(maxRows, survey.rows);
    let size = shrink(wanted, survey.tightestVipMs, fits);
    let dropLate = false;
    if (!fits(size, survey.tightestOtherMs)) {
      dropLate = survey.rows > size && this.#someFit(place, head.key, size, fits);
      if (!dropLate) size = shrink(size, survey.tightestOtherMs, fits);
    }

    const batch: T[] = [];
    const { maxBatchCost, maxBatchBytes } = this.rules;
    let rows = 0;
    let cost = 0;
    let bytes = 0;
    let closedBy: CloseReason | undefined = size < wanted ? 'deadline' : undefined;
    for (const list of this.#classes) {
      let kept = 0;
      for (let i = 0; i < list.length; i += 1) {
        const entry = list[i] as T;
        if (rows < size && entry.key === head.key) {
          if (entry.rank > 0 && dropLate && !fits(size, entry.deadlineMs)) {
            this.#gone(entry);
            expired.push(entry);
            continue;
          }
          const roomLeft = rows === 0 || (rows + entry.rows <= size && bytes + entry.bytes <= maxBatchBytes);
          if (roomLeft && (rows === 0 || cost + entry.cost <= maxBatchCost)) {
            rows += entry.rows;
            cost += entry.cost;
            bytes += entry.bytes;
            this.#gone(entry);
            batch.push(entry);
            continue;
          }
          closedBy ??= roomLeft ? 'cost' : 'size';
        }
        list[kept] = entry;
        kept += 1;
      }
      list.length = kept;
    }
    if (rows >= maxRows) closedBy = 'size';
    if (draining) closedBy = 'drain';
    return { batch, rows, closedBy: closedBy ?? this.#openReason(survey, nowMs), expired };
  }

  /** Takes out what `matches`, for a caller who left or a frame that is handed back. O(held). */
  remove(matches: (entry: T) => boolean): T[] {
    const removed: T[] = [];
    for (const list of this.#classes) {
      let kept = 0;
      for (const entry of list) {
        if (matches(entry)) {
          this.#gone(entry);
          removed.push(entry);
        } else {
          list[kept] = entry;
          kept += 1;
        }
      }
      list.length = kept;
    }
    return removed;
  }

  /** Nothing stopped the batch from growing but the end of what may join it. */
  #openReason(survey: Survey<T>, nowMs: number): CloseReason {
    const { maxQueueDelayMs } = this.rules;
    if (maxQueueDelayMs > 0) return nowMs >= survey.oldestMs + maxQueueDelayMs ? 'delay' : 'deadline';
    return survey.otherKeys ? 'shape' : 'idle';
  }

  #gone(entry: T): void {
    this.#rows[entry.rank] = this.rowsOf(entry.rank) - entry.rows;
  }

  #doneAtMs(place: Place<T>, nowMs: number, rows: number): number {
    return nowMs + place.startInMs + place.predictMs(rows) + this.rules.replyMarginMs;
  }

  #someFit(place: Place<T>, key: string, size: number, fits: (rows: number, deadlineMs: number) => boolean): boolean {
    return this.#classes.some((list) =>
      list.some((entry) => entry.key === key && place.serves?.(entry) !== false && fits(size, entry.deadlineMs)),
    );
  }

  #survey(place: Place<T>, nowMs: number, drop: boolean): Survey<T> {
    const survey: Survey<T> = {
      head: undefined,
      rows: 0,
      tightestVipMs: Number.POSITIVE_INFINITY,
      tightestOtherMs: Number.POSITIVE_INFINITY,
      oldestMs: Number.POSITIVE_INFINITY,
      otherKeys: false,
      expired: [],
    };
    for (const list of this.#classes) {
      let kept = 0;
      for (let i = 0; i < list.length; i += 1) {
        const entry = list[i] as T;
        if (this.#hopeless(entry, place, nowMs)) {
          if (drop) {
            this.#gone(entry);
            survey.expired.push(entry);
            continue;
          }
        } else if (place.serves === undefined || place.serves(entry)) count(survey, entry);
        list[kept] = entry;
        kept += 1;
      }
      list.length = kept;
    }
    return survey;
  }

  /** Could not make it even alone. */
  #hopeless(entry: T, place: Place<T>, nowMs: number): boolean {
    if (entry.deadlineMs <= nowMs) return true;
    return place.trusted && this.#doneAtMs(place, nowMs, entry.rows) > entry.deadlineMs;
  }
}

function count<T extends Queued>(survey: Survey<T>, entry: T): void {
  survey.head ??= entry;
  if (entry.key !== survey.head.key) {
    survey.otherKeys = true;
    return;
  }
  survey.rows += entry.rows;
  if (entry.enqueuedAtMs < survey.oldestMs) survey.oldestMs = entry.enqueuedAtMs;
  if (entry.rank === 0) survey.tightestVipMs = Math.min(survey.tightestVipMs, entry.deadlineMs);
  else survey.tightestOtherMs = Math.min(survey.tightestOtherMs, entry.deadlineMs);
}

/** The largest size ≤ `rows` with which a row due at `deadlineMs` makes it; 1 if none does. */
function shrink(rows: number, deadlineMs: number, fits: (rows: number, deadlineMs: number) => boolean): number {
  let size = rows;
  while (size > 1 && !fits(size, deadlineMs)) size -= 1;
  return size;
}

/** Index of the first entry with a later place. */
function upperBound(list: readonly Queued[], orderMs: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle] as Queued).orderMs <= orderMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
