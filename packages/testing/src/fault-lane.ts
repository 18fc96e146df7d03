import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

/** What one direction of a connection suffers. Everything absent: bytes pass at once. */
export type LaneFaults = {
  /** Added to each chunk; `jitterMs` is spread evenly around it. Order is kept. */
  latencyMs?: number;
  jitterMs?: number;
  bytesPerSecond?: number;
  /** Cuts what comes into pieces of at most this many bytes, `sliceDelayMs` apart. */
  sliceBytes?: number;
  sliceDelayMs?: number;
  /** After so many bytes of a connection it is reset in the middle of whatever it was. */
  limitBytes?: number;
  /** Swallows the bytes; the connection stays open (one-way drop). */
  drop?: boolean;
  /** Share of the pieces of which one random bit is flipped. */
  corrupt?: number;
};

const BANDWIDTH_STEP_MS = 10;
const HELD_BYTES = 256 * 1024; // more waiting than this: the sender feels it, as with a slow link

/** Carries bytes from one socket to the other under the faults of the moment, which may change while they travel. */
export class FaultLane {
  readonly #from: Readable;
  readonly #to: Writable;
  readonly #faults: () => LaneFaults;
  readonly #random: () => number;
  readonly #cut: () => void;
  readonly #dropped: (bytes: number) => void;
  #chain = Promise.resolve();
  #held = 0;
  #carried = 0;

  /** `cut` resets the connection; `dropped` hears of bytes that were swallowed. */
  constructor(
    from: Readable,
    to: Writable,
    faults: () => LaneFaults,
    random: () => number,
    cut: () => void,
    dropped: (bytes: number) => void = () => undefined,
  ) {
    this.#from = from;
    this.#to = to;
    this.#faults = faults;
    this.#random = random;
    this.#cut = cut;
    this.#dropped = dropped;
    from.on('data', (chunk: Buffer) => this.#take(chunk));
    from.on('end', () => {
      this.#chain = this.#chain.then(() => void to.end());
    });
  }

  #take(chunk: Buffer): void {
    const arrivedMs = performance.now();
    this.#held += chunk.length;
    if (this.#held > HELD_BYTES) this.#from.pause();
    this.#chain = this.#chain.then(async () => {
      await this.#carry(chunk, arrivedMs);
      this.#held -= chunk.length;
      if (this.#held <= HELD_BYTES) this.#from.resume();
    });
  }

  async #carry(chunk: Buffer, arrivedMs: number): Promise<void> {
    const { latencyMs = 0, jitterMs = 0 } = this.#faults();
    if (latencyMs + jitterMs > 0) {
      const dueMs = arrivedMs + latencyMs + (this.#random() * 2 - 1) * jitterMs;
      await delay(Math.max(0, dueMs - performance.now()));
    }
    let rest = chunk;
    while (rest.length > 0 && !this.#to.destroyed) {
      const faults = this.#faults();
      const size = Math.min(rest.length, pieceBytes(faults));
      const piece = rest.subarray(0, size);
      rest = rest.subarray(size);
      if (faults.bytesPerSecond !== undefined) await delay((size / faults.bytesPerSecond) * 1_000);
      if (faults.sliceDelayMs !== undefined && rest.length > 0) await delay(faults.sliceDelayMs);
      await this.#pass(piece, faults);
    }
  }

  async #pass(piece: Buffer, faults: LaneFaults): Promise<void> {
    if (faults.drop === true) this.#dropped(piece.length);
    if (faults.drop === true || this.#to.destroyed) return;
    const left = (faults.limitBytes ?? Number.POSITIVE_INFINITY) - this.#carried;
    const bytes = this.#damaged(
      left < piece.length ? piece.subarray(0, Math.max(0, left)) : piece,
      faults.corrupt ?? 0,
    );
    this.#carried += bytes.length;
    const flowing = this.#to.write(bytes);
    if (left <= piece.length) {
      await new Promise((resolve) => setImmediate(resolve)); // what was written goes out first
      this.#cut();
      return;
    }
    if (!flowing) await Promise.race([once(this.#to, 'drain'), once(this.#to, 'close')]);
  }

  #damaged(piece: Buffer, share: number): Buffer {
    if (share === 0 || piece.length === 0 || this.#random() >= share) return piece;
    const copy = Buffer.from(piece);
    const at = Math.floor(this.#random() * copy.length);
    copy[at] = (copy[at] as number) ^ (1 << Math.floor(this.#random() * 8));
    return copy;
  }
}

const once = (stream: Writable, event: 'drain' | 'close'): Promise<void> =>
  new Promise((resolve) => {
    stream.once(event, () => resolve());
  });

function pieceBytes({ sliceBytes, bytesPerSecond }: LaneFaults): number {
  const byRate = bytesPerSecond === undefined ? Number.POSITIVE_INFINITY : (bytesPerSecond * BANDWIDTH_STEP_MS) / 1_000;
  return Math.max(1, Math.floor(Math.min(sliceBytes ?? Number.POSITIVE_INFINITY, byRate)));
}
