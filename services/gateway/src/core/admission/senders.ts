import type { LoadState } from '@spillway/contracts/messages';

/** Silent for this long while others speak: gone, or hung. */
const SILENT_MS = 150;
/** Or for so many of its own periods: a model without traffic is spoken of once a second. */
const SILENT_PERIODS = 3;
const LONGEST_SILENCE_MS = 3_500;
/** Who was silent for so long is forgotten. */
const FORGET_MS = 60_000;

/** Another process that reports on one model. Times on this process's clock. */
export type Sender<T> = {
  instance: string;
  epoch: number;
  seq: number;
  level: number;
  arrivedMs: number;
  /** Delay on the bus beyond the fastest: the report was true so long before it arrived. */
  transitMs: number;
  periodMs: number;
  live: boolean;
  load: T;
};

/** The newest report of each process of one kind, and who of them still speaks. */
export class Senders<T> {
  /** Never empty by silence alone: when nobody speaks, it is the bus, and the last reports hold. */
  readonly all: Sender<T>[] = [];
  #live = 0;

  get live(): number {
    return this.#live;
  }

  /** False: the report is older than what is known of its sender. */
  hear(state: LoadState, load: T, transitMs: number, nowMs: number): boolean {
    const known = this.all.find(({ instance }) => instance === state.instance);
    if (known === undefined) {
      const { instance, epoch, seq, level } = state;
      this.all.push({
        instance,
        epoch,
        seq,
        level,
        arrivedMs: nowMs,
        transitMs,
        periodMs: SILENT_MS,
        live: true,
        load,
      });
      this.#live += 1;
      return true;
    }
    if (state.epoch < known.epoch || (state.epoch === known.epoch && state.seq <= known.seq)) return false;
    known.epoch = state.epoch;
    known.seq = state.seq;
    known.level = state.level;
    known.periodMs += 0.3 * (nowMs - known.arrivedMs - known.periodMs);
    known.arrivedMs = nowMs;
    known.transitMs = transitMs;
    known.load = load;
    if (!known.live) this.#live += 1;
    known.live = true;
    return true;
  }

  /**
   * @param newestMs when anybody was heard last, of this kind or another.
   * @returns True: somebody has fallen silent.
   */
  prune(newestMs: number): boolean {
    let changed = false;
    for (let i = this.all.length - 1; i >= 0; i -= 1) {
      const sender = this.all[i]!;
      const silentMs = newestMs - sender.arrivedMs;
      const allowedMs = Math.min(LONGEST_SILENCE_MS, Math.max(SILENT_MS, SILENT_PERIODS * sender.periodMs));
      if (sender.live && silentMs > allowedMs) {
        sender.live = false;
        this.#live -= 1;
        changed = true;
      }
      if (silentMs > FORGET_MS) this.all.splice(i, 1);
    }
    return changed;
  }
}

/** How old a report is now. */
export const ageOf = (sender: Sender<unknown>, nowMs: number): number =>
  Math.max(0, nowMs - sender.arrivedMs) + sender.transitMs;
