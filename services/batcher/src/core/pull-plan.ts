/** Most messages in one pull: larger pulls only move the queue from the stream, where all batchers see it, into one of them. */
const MOST_MESSAGES = 32;
const WEIGHT = 0.1;

/** Moving means of what a message of one source brings. */
export class FrameSize {
  rows: number;
  bytes = 1_024;

  /** `rows`: a careful first guess, so that the first pull does not bring far more than asked for. */
  constructor(rows: number) {
    this.rows = Math.max(1, rows);
  }

  observe(rows: number, bytes: number): void {
    this.rows += WEIGHT * (Math.max(1, rows) - this.rows);
    this.bytes += WEIGHT * (bytes - this.bytes);
  }
}

/** One class of one model. `heldRows` wait here; `outstanding` messages were asked for and have not come. */
export type SourceState = { heldRows: number; outstanding: number; size: FrameSize };

/** How much of a model this batcher may hold for each class; `leastRows` by rank: whatever is held of the classes above. */
export type Window = { rows: number; bytes: number; leastRows: readonly number[] };

/**
 * How many messages to ask for now, for each class, highest first. A class may be pulled while what is held of it *and of the
 * classes above* leaves room in the window: what is held of bulk never blocks standard or vip, and what is held of vip keeps the
 * others waiting in the stream, where they are bounded and all batchers can see them.
 *
 * A pull that waits at an empty stream counts against its own class only. A source asks again when half of what it may ask for
 * is missing, not after every message: a pull costs the server as much as a message.
 */
export function planPulls(window: Window, sources: readonly SourceState[]): number[] {
  let heldRows = 0;
  return sources.map((source, rank) => {
    heldRows += source.heldRows;
    const { rows, bytes } = source.size;
    const most = Math.max(1, Math.min(MOST_MESSAGES, Math.floor(window.rows / rows), Math.floor(window.bytes / bytes)));
    const leastRows = (window.leastRows[rank] ?? 0) - source.heldRows;
    const roomRows = Math.max(window.rows - heldRows, leastRows) - source.outstanding * rows;
    if (roomRows <= 0) return 0;
    const wanted = Math.min(Math.max(1, Math.floor(roomRows / rows)), most - source.outstanding);
    return wanted > 0 && (source.outstanding === 0 || wanted * 2 >= most) ? wanted : 0;
  });
}
