import { CLASSES } from '@spillway/contracts/classes';
import type { Clock } from '@spillway/lifecycle/clock';
import type { BulkFloor } from './bulk-floor.ts';
import { ClassLists, type Queued } from './class-lists.ts';
import type { BatchRules } from './model-rules.ts';
import { Lateness, type Place } from './place.ts';
import type { Prediction } from './run-time.ts';

/** Why a batch left when it did: the values of `Batch.closed_by`. */
export type CloseReason = 'size' | 'cost' | 'idle' | 'delay' | 'deadline' | 'shape' | 'drain';

/** `expired` have passed their deadline or can no longer meet it: they are out of the queue and must not run. */
export type Taken<T> = { batch: T[]; rows: number; closedBy: CloseReason; expired: T[] };

/** `lingerMs` 0: a free instance takes what is there. */
export type TakeOptions = { draining?: boolean; floor?: BulkFloor; lingerMs?: number };

/** What one look over the queue says about the requests that may leave now: those that share the key of the first. */
type Survey<T> = {
  head: T | undefined;
  /** The first of the lowest class, and whether one of that class shares the head's key. */
  lowest: T | undefined;
  lowestJoins: boolean;
  rows: number;
  tightestVipMs: number;
  tightestOtherMs: number;
  oldestMs: number;
  otherKeys: boolean;
  expired: T[];
};

const LOWEST = CLASSES.length - 1;

/**
 * Decides *which* requests of one model leave together and *when*: by class, then by deadline. Holds no timer, socket or
 * logger. Every step is linear in what is held, which the pull plan keeps at a few batches.
 */
export class BatchQueue<T extends Queued> {
  readonly #clock: Clock;
  readonly #lists = new ClassLists<T>();
  readonly #dropsLate: boolean;
  rules: BatchRules;

  /** `dropsLate` false: deadlines order requests and do nothing else. */
  constructor(clock: Clock, rules: BatchRules, dropsLate = true) {
    this.#clock = clock;
    this.rules = rules;
    this.#dropsLate = dropsLate;
  }

  get empty(): boolean {
    return this.#lists.empty;
  }

  /** Rows held of one class. */
  rowsOf(rank: number): number {
    return this.#lists.rowsOf(rank);
  }

  /** Sum of the costs held of one class. */
  costOf(rank: number): number {
    return this.#lists.costOf(rank);
  }

  /** Equal places leave in the order they came. False: the model's policy allows no more of this class. */
  push(entry: T): boolean {
    const most = this.rules.policies[entry.rank]?.maxRequests ?? Number.POSITIVE_INFINITY;
    const held = this.#lists.byRank[entry.rank]?.length ?? 0;
    if (held >= most && entry.orderMs !== Number.NEGATIVE_INFINITY) return false;
    this.#lists.add(entry);
    return true;
  }

  /** Milliseconds until a batch should leave for this place: 0 now, Infinity nothing waits for it. */
  dueInMs(place: Place<T>, lingerMs: number): number {
    const nowMs = this.#clock.now();
    const { head, rows, oldestMs, tightestVipMs, tightestOtherMs } = this.#survey(place, nowMs, false);
    if (head === undefined) return Number.POSITIVE_INFINITY;
    const prediction = place.predict(head.variant);
    const enough = Math.min(prediction.maxRows, this.rules.preferredRows[0] ?? Number.POSITIVE_INFINITY);
    if (lingerMs <= 0 || rows >= enough) return 0;
    const slackMs = Math.min(tightestVipMs, tightestOtherMs) - this.#doneAtMs(place, prediction, nowMs, rows);
    return Math.max(0, Math.min(oldestMs + lingerMs - nowMs, slackMs));
  }

  /**
   * Removes the next batch, whether or not `dueInMs` says it should wait, and all that can no longer finish in time. Size first,
   * then rows: testing a row against the size reached so far would make it late when more rows join (docs: overload, section 7).
   */
  take(place: Place<T>, { draining = false, floor, lingerMs = 0 }: TakeOptions = {}): Taken<T> {
    const nowMs = this.#clock.now();
    let survey = this.#survey(place, nowMs, true);
    const { expired } = survey;
    if (floor !== undefined && owesOwnBatch(survey, floor, place))
      survey = this.#survey(place, nowMs, false, survey.lowest);
    const { head } = survey;
    if (head === undefined) return { batch: [], rows: 0, closedBy: 'idle', expired };
    const prediction = place.predict(head.variant);
    const fits = (rows: number, deadlineMs: number): boolean =>
      !this.#dropsLate || !prediction.trusted || this.#doneAtMs(place, prediction, nowMs, rows) <= deadlineMs;
    const maxRows = Math.max(this.#mostRows(prediction, survey.rows), head.rows); // a larger request goes alone; the worker answers it
    const wanted = Math.min(maxRows, survey.rows);
    let size = shrink(wanted, survey.tightestVipMs, fits);
    let dropLate = false;
    if (!fits(size, survey.tightestOtherMs)) {
      dropLate = survey.rows > size && this.#someFit(place, head.key, size, fits);
      if (!dropLate) size = shrink(size, survey.tightestOtherMs, fits);
    }
    const late = place.soonest && this.#dropsLate ? new Lateness(this.rules, place, nowMs) : undefined;
    const joins = (entry: T): boolean => entry.key === head.key && late?.is(entry) !== true; // who is late only here stays
    const lasts = (entry: T): boolean => !dropLate || entry.rank === 0 || fits(size, entry.deadlineMs);
    const lastsElsewhere = this.#elsewhere(place, head.variant, nowMs);
    const reserved =
      floor !== undefined && size === wanted ? this.#reserved(floor, size, (entry) => joins(entry) && lasts(entry)) : 0;

    const batch: T[] = [];
    const { maxBatchCost, maxBatchBytes } = this.rules;
    let rows = 0;
    let cost = 0;
    let bytes = 0;
    let closedBy: CloseReason | undefined = size < wanted ? 'deadline' : undefined;
    for (const [rank, list] of this.#lists.byRank.entries()) {
      const room = rank === LOWEST ? size : size - reserved;
      let kept = 0;
      for (let i = 0; i < list.length; i += 1) {
        const entry = list[i] as T;
        if (rows < room && joins(entry)) {
          if (dropLate && !lasts(entry)) {
            if (lastsElsewhere(size, entry.deadlineMs)) {
              if (kept !== i) list[kept] = entry;
              kept += 1;
            } else {
              this.#lists.gone(entry);
              expired.push(entry);
            }
            continue;
          }
          const first = rows === 0;
          const roomLeft = first || (rows + entry.rows <= room && bytes + entry.bytes <= maxBatchBytes);
          if (roomLeft && (first || cost + entry.cost <= maxBatchCost)) {
            rows += entry.rows;
            cost += entry.cost;
            bytes += entry.bytes;
            this.#lists.gone(entry);
            batch.push(entry);
            continue;
          }
          closedBy ??= roomLeft ? 'cost' : 'size';
        }
        if (kept !== i) list[kept] = entry;
        kept += 1;
      }
      list.length = kept;
    }
    if (rows >= maxRows) closedBy = 'size';
    if (draining) closedBy = 'drain';
    return { batch, rows, closedBy: closedBy ?? openReason(survey, lingerMs, nowMs), expired };
  }

  /** Takes out what `matches`, for a caller who left or a frame that is handed back. O(held). */
  remove(matches: (entry: T) => boolean): T[] {
    const removed: T[] = [];
    for (const rank of CLASSES.keys()) this.#lists.remove(rank, removed, matches);
    return removed;
  }

  /** Takes out what has no time left, or less than even an idle `place` would need. To be called by a timer. O(held). */
  expire(place: Place<T> | undefined): T[] {
    const nowMs = this.#clock.now();
    const expired: T[] = [];
    const lateness = new Lateness(this.rules, place, nowMs);
    for (const rank of CLASSES.keys()) {
      if (this.#dropsLate) this.#lists.remove(rank, expired, (entry) => lateness.is(entry));
      const { timeoutAction, timeoutMs = Number.POSITIVE_INFINITY } = this.rules.policies[rank] ?? {};
      if (timeoutAction === 'delay') this.#lists.putLast(rank, ({ sinceMs }) => nowMs - sinceMs >= timeoutMs);
    }
    return expired;
  }

  #doneAtMs({ startInMs }: Place<T>, { baseMs, rowMs }: Prediction, nowMs: number, rows: number): number {
    return nowMs + startInMs + baseMs + rowMs * rows + this.rules.replyMarginMs;
  }

  /** Whether a row makes it in a batch of so many rows on the soonest instance, if that is another one. */
  #elsewhere({ soonest }: Place<T>, variant: string, nowMs: number): (rows: number, deadlineMs: number) => boolean {
    if (soonest === undefined) return () => false;
    const prediction = soonest.predict(variant);
    return (rows, deadlineMs) => this.#doneAtMs(soonest, prediction, nowMs, rows) <= deadlineMs;
  }

  /** A full batch, or the largest preferred one that can be filled. */
  #mostRows({ maxRows }: Prediction, rows: number): number {
    let preferred = 0;
    for (const size of this.rules.preferredRows) if (size <= Math.min(rows, maxRows)) preferred = size;
    return preferred > 0 ? preferred : maxRows;
  }

  /** Rows at the end of the batch that higher classes leave to the lowest one. */
  #reserved(floor: BulkFloor, size: number, joins: (entry: T) => boolean): number {
    const place = floor.placeIn(size);
    let rows = 0;
    for (const entry of this.#lists.byRank[LOWEST] as T[]) {
      if (!joins(entry)) continue;
      const most = rows === 0 ? Math.max(place.rows, place.firstRows) : place.rows;
      if (rows + entry.rows > Math.min(most, size)) break;
      rows += entry.rows;
      if (rows >= place.rows) break;
    }
    return rows;
  }

  #someFit(place: Place<T>, key: string, size: number, fits: (rows: number, deadlineMs: number) => boolean): boolean {
    return this.#lists.byRank.some((list) =>
      list.some((entry) => entry.key === key && place.serves?.(entry) !== false && fits(size, entry.deadlineMs)),
    );
  }

  /** In plain variables, for it is the dearest loop here. @param forced The request that decides about the key; else the first. */
  #survey(place: Place<T>, nowMs: number, drop: boolean, forced?: T): Survey<T> {
    const lateness = new Lateness(this.rules, place, nowMs);
    const { serves, soonest } = place;
    const elsewhere = soonest && new Lateness(this.rules, soonest, nowMs);
    const expired: T[] = [];
    let head = forced;
    let lowest: T | undefined;
    let lowestJoins = false;
    let otherKeys = false;
    let rows = 0;
    let oldestMs = Number.POSITIVE_INFINITY;
    let tightestVipMs = Number.POSITIVE_INFINITY;
    let tightestOtherMs = Number.POSITIVE_INFINITY;
    for (let rank = 0; rank <= LOWEST; rank += 1) {
      const list = this.#lists.byRank[rank] as T[];
      let tightestMs = Number.POSITIVE_INFINITY;
      let kept = 0;
      for (let i = 0; i < list.length; i += 1) {
        const entry = list[i] as T;
        const late = this.#dropsLate && lateness.is(entry);
        if (late && drop && elsewhere?.is(entry) !== false) {
          this.#lists.gone(entry);
          expired.push(entry);
          continue;
        }
        if (kept !== i) list[kept] = entry;
        kept += 1;
        if (late || (serves !== undefined && !serves(entry))) continue;
        head ??= entry;
        if (rank === LOWEST) lowest ??= entry;
        if (entry.key !== head.key) {
          otherKeys = true;
          continue;
        }
        if (rank === LOWEST) lowestJoins = true;
        rows += entry.rows;
        if (entry.enqueuedAtMs < oldestMs) oldestMs = entry.enqueuedAtMs;
        if (entry.deadlineMs < tightestMs) tightestMs = entry.deadlineMs;
      }
      list.length = kept;
      if (rank === 0) tightestVipMs = tightestMs;
      else if (tightestMs < tightestOtherMs) tightestOtherMs = tightestMs;
    }
    return { head, lowest, lowestJoins, rows, tightestVipMs, tightestOtherMs, oldestMs, otherKeys, expired };
  }
}

/** Bulk has saved a whole batch, and none of it may join the batch of the others. */
function owesOwnBatch<T extends Queued>(
  { lowest, lowestJoins }: Survey<T>,
  floor: BulkFloor,
  place: Place<T>,
): boolean {
  return lowest !== undefined && !lowestJoins && floor.full(place.predict(lowest.variant).maxRows);
}

/** Nothing stopped the batch from growing but the end of what may join it. */
function openReason({ oldestMs, otherKeys }: Survey<Queued>, lingerMs: number, nowMs: number): CloseReason {
  if (lingerMs > 0) return nowMs >= oldestMs + lingerMs ? 'delay' : 'deadline';
  return otherKeys ? 'shape' : 'idle';
}

/** The largest size ≤ `rows` with which a row due at `deadlineMs` makes it; 1 if none does. */
function shrink(rows: number, deadlineMs: number, fits: (rows: number, deadlineMs: number) => boolean): number {
  let size = rows;
  while (size > 1 && !fits(size, deadlineMs)) size -= 1;
  return size;
}
