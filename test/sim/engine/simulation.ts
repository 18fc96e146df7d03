import type { Clock } from '@spillway/lifecycle/clock';

type Handler = (argument: never) => void;

const FIRST_CAPACITY = 1_024;

/**
 * Virtual time and what is to happen in it: a binary heap over flat arrays, so that an event costs no object and no closure.
 * Events of one time happen in the order they were scheduled, which makes a run depend on its seed alone.
 */
export class Simulation implements Clock {
  #nowMs = 0;
  #order = 0;
  #size = 0;
  /** Heap: time, order of scheduling, and where handler and argument lie. */
  #times = new Float64Array(FIRST_CAPACITY);
  #orders = new Float64Array(FIRST_CAPACITY);
  #places = new Int32Array(FIRST_CAPACITY);
  readonly #handlers: (Handler | undefined)[] = [];
  readonly #arguments: unknown[] = [];
  readonly #free: number[] = [];
  #done = 0;

  now(): number {
    return this.#nowMs;
  }

  /** Events that have happened. */
  get events(): number {
    return this.#done;
  }

  /** @throws Error for a time that has passed: a bug of the caller. */
  at<T>(timeMs: number, handler: (argument: T) => void, argument: T): void {
    if (!(timeMs >= this.#nowMs)) throw new Error(`bug: an event at ${timeMs} ms, now is ${this.#nowMs}`);
    if (this.#size === this.#times.length) this.#grow();
    const place = this.#free.pop() ?? this.#handlers.length;
    this.#handlers[place] = handler as Handler;
    this.#arguments[place] = argument;
    this.#order += 1;
    this.#up(timeMs, this.#order, place);
  }

  after<T>(delayMs: number, handler: (argument: T) => void, argument: T): void {
    this.at(this.#nowMs + delayMs, handler, argument);
  }

  /** Calls again and again while it does not return false. */
  every(periodMs: number, firstInMs: number, handler: () => undefined | false): void {
    const again = (): void => {
      if (handler() !== false) this.after(periodMs, again, undefined);
    };
    this.after(firstInMs, again, undefined);
  }

  /** Lets everything happen up to and including this time. */
  run(untilMs: number): void {
    while (this.#size > 0 && (this.#times[0] as number) <= untilMs) {
      this.#nowMs = this.#times[0] as number;
      const place = this.#places[0] as number;
      this.#removeFirst();
      const handler = this.#handlers[place] as Handler;
      const argument = this.#arguments[place] as never;
      this.#handlers[place] = undefined;
      this.#arguments[place] = undefined;
      this.#free.push(place);
      this.#done += 1;
      handler(argument);
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  #up(timeMs: number, order: number, place: number): void {
    const times = this.#times;
    let at = this.#size;
    this.#size += 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((times[parent] as number) <= timeMs) break; // of equal times the new one is later
      times[at] = times[parent] as number;
      this.#orders[at] = this.#orders[parent] as number;
      this.#places[at] = this.#places[parent] as number;
      at = parent;
    }
    times[at] = timeMs;
    this.#orders[at] = order;
    this.#places[at] = place;
  }

  #removeFirst(): void {
    const [times, orders, places] = [this.#times, this.#orders, this.#places];
    this.#size -= 1;
    const size = this.#size;
    const timeMs = times[size] as number;
    const order = orders[size] as number;
    const place = places[size] as number;
    let at = 0;
    for (let child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && this.#before(child + 1, child)) child += 1;
      const childMs = times[child] as number;
      if (childMs > timeMs || (childMs === timeMs && (orders[child] as number) > order)) break;
      times[at] = childMs;
      orders[at] = orders[child] as number;
      places[at] = places[child] as number;
      at = child;
    }
    times[at] = timeMs;
    orders[at] = order;
    places[at] = place;
  }

  #before(a: number, b: number): boolean {
    const [timeA, timeB] = [this.#times[a] as number, this.#times[b] as number];
    return timeA < timeB || (timeA === timeB && (this.#orders[a] as number) < (this.#orders[b] as number));
  }

  #grow(): void {
    const longer = <T extends Float64Array | Int32Array>(empty: T, old: T): T => {
      empty.set(old);
      return empty;
    };
    const length = this.#times.length * 2;
    this.#times = longer(new Float64Array(length), this.#times);
    this.#orders = longer(new Float64Array(length), this.#orders);
    this.#places = longer(new Int32Array(length), this.#places);
  }
}
