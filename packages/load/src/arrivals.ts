import type { Gaps } from './gaps.ts';
import type { Piece } from './profile.ts';

/** Times at which requests are due, ms from the start, never falling; `Infinity` from the end on. */
export type Arrivals = { next(): number };

/**
 * Arrivals whose rate follows the pieces. Exact, without thinning: a gap is drawn in units of expected requests and carried
 * through the integral of the rate, which is quadratic in each piece. Exponential gaps make it an inhomogeneous Poisson process.
 */
export function profileArrivals(pieces: readonly Piece[], gaps: Gaps): Arrivals {
  return new ProfileArrivals(pieces, gaps);
}

class ProfileArrivals implements Arrivals {
  readonly #pieces: readonly Piece[];
  readonly #gaps: Gaps;
  #index = 0;
  #pieceStartMs = 0;
  #inPieceMs = 0;

  constructor(pieces: readonly Piece[], gaps: Gaps) {
    this.#pieces = pieces;
    this.#gaps = gaps;
  }

  next(): number {
    let need = this.#gaps();
    for (let piece = this.#pieces[this.#index]; piece !== undefined; piece = this.#pieces[this.#index]) {
      const slope = (piece.toRate - piece.fromRate) / 1_000 / piece.durationMs; // per ms²
      const rate = piece.fromRate / 1_000 + slope * this.#inPieceMs; // per ms
      const leftMs = piece.durationMs - this.#inPieceMs;
      const left = (rate + (slope * leftMs) / 2) * leftMs;
      if (need < left) {
        this.#inPieceMs += (2 * need) / (rate + Math.sqrt(Math.max(0, rate * rate + 2 * slope * need)));
        return this.#pieceStartMs + this.#inPieceMs;
      }
      need -= Math.max(0, left);
      this.#pieceStartMs += piece.durationMs;
      this.#inPieceMs = 0;
      this.#index += 1;
    }
    return Number.POSITIVE_INFINITY;
  }
}

/** Known times, in ascending order. */
export function replayArrivals(timesMs: Float64Array): Arrivals {
  let at = 0;
  return {
    next: () => {
      const timeMs = timesMs[at] ?? Number.POSITIVE_INFINITY;
      at += 1;
      return timeMs;
    },
  };
}
