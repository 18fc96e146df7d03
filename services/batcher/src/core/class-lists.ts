import { CLASSES } from '@spillway/contracts/classes';

/** What the queue knows of a request. Times are on the queue's own clock; Infinity is a deadline that never comes. */
export type Queued = {
  /** Of its class: 0 leaves first. */
  readonly rank: number;
  /** Only requests with equal keys share a batch. */
  key: string;
  /** Of the model; empty: the full one. Part of the key. */
  readonly variant: string;
  readonly rows: number;
  readonly cost: number;
  /** What it adds to the message that carries the batch. */
  readonly bytes: number;
  readonly deadlineMs: number;
  readonly enqueuedAtMs: number;
  /** When it left its gateway. */
  readonly sinceMs: number;
  /** Place inside the class: the deadline, or -Infinity for a request that goes back to the head. */
  orderMs: number;
};

/** What waits, by class and in each class by place, with the sums that others ask for. */
export class ClassLists<T extends Queued> {
  readonly byRank: readonly T[][] = CLASSES.map(() => []);
  readonly #rows: number[] = CLASSES.map(() => 0);
  readonly #costs: number[] = CLASSES.map(() => 0);

  get empty(): boolean {
    return this.byRank.every((list) => list.length === 0);
  }

  rowsOf(rank: number): number {
    return this.#rows[rank] ?? 0;
  }

  costOf(rank: number): number {
    return Math.max(0, this.#costs[rank] ?? 0);
  }

  /** Equal places stay in the order they came. */
  add(entry: T): void {
    insert(this.byRank[entry.rank] as T[], entry);
    this.#rows[entry.rank] = this.rowsOf(entry.rank) + entry.rows;
    this.#costs[entry.rank] = (this.#costs[entry.rank] ?? 0) + entry.cost;
  }

  /** To be called by whoever takes an entry out of its list. */
  gone(entry: T): void {
    this.#rows[entry.rank] = this.rowsOf(entry.rank) - entry.rows;
    this.#costs[entry.rank] = (this.#costs[entry.rank] ?? 0) - entry.cost;
  }

  /** Takes out of one class what `matches`; the others keep their places. */
  remove(rank: number, into: T[], matches: (entry: T) => boolean): void {
    const list = this.byRank[rank] as T[];
    let kept = 0;
    for (const entry of list) {
      if (matches(entry)) {
        this.gone(entry);
        into.push(entry);
      } else {
        list[kept] = entry;
        kept += 1;
      }
    }
    list.length = kept;
  }

  /** Moves what `matches` behind all others of its class. */
  putLast(rank: number, matches: (entry: T) => boolean): void {
    const late: T[] = [];
    this.remove(rank, late, (entry) => entry.orderMs !== BEHIND_ALL_MS && matches(entry));
    for (const entry of late) {
      entry.orderMs = BEHIND_ALL_MS;
      this.add(entry);
    }
  }
}

/** Behind every deadline. */
const BEHIND_ALL_MS = Number.MAX_VALUE;

/** Usually at the end, so nothing moves. */
function insert<T extends Queued>(list: T[], entry: T): void {
  const last = list[list.length - 1];
  if (last === undefined || last.orderMs <= entry.orderMs) list.push(entry);
  else list.splice(upperBound(list, entry.orderMs), 0, entry);
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
