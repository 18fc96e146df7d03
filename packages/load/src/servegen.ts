import { type Arrivals, profileArrivals } from './arrivals.ts';
import { type Gaps, gammaGaps, poissonGaps, weibullGaps } from './gaps.ts';
import { LoadError } from './load-error.ts';
import { constantRate, durationMs, type Piece, scaled } from './profile.ts';
import type { Random } from './random.ts';

/** One bin of a client of ServeGen: its rate, and the distribution of the gaps inside it. */
export type ClientBin = { atMs: number; piece: Piece; family: string; shape: number };

const FAMILIES = ['Gamma', 'Weibull', ''];

/**
 * Reads `chunk-<client>-trace.csv` of ServeGen: begin of the bin in s, requests/s, CV, family, shape, scale; no head.
 * @throws LoadError naming the line.
 */
export function parseServegenClient(text: string): ClientBin[] {
  const rows = text.split(/\r?\n/).filter((line) => line !== '');
  const starts = rows.map((line) => Number(line.split(',')[0]));
  const binMs = ((starts[1] ?? 600) - (starts[0] ?? 0)) * 1_000;
  return rows.map((line, at) => {
    const [start = '', rate = '', , family = '', shape = ''] = line.split(',').map((field) => field.trim());
    const bad = (what: string, got: string): LoadError =>
      new LoadError(`line ${at + 1}: expected ${what}, got "${got}"`);
    if (!(start !== '' && Number(start) >= 0)) throw bad('seconds', start);
    if (!(rate !== '' && Number(rate) >= 0)) throw bad('requests/s', rate);
    if (!FAMILIES.includes(family)) throw bad('Gamma, Weibull or nothing', family);
    if (family !== '' && !(Number(shape) > 0)) throw bad('a shape above 0', shape);
    const [piece] = constantRate(Number(rate), binMs) as [Piece];
    return { atMs: Number(start) * 1_000, piece, family, shape: Number(shape) };
  });
}

export type ServegenPlan = { window?: { fromMs: number; toMs: number }; speed?: number; amount?: number };

/** Arrivals of one client, from the bins that begin in the window: gaps of each bin's own distribution, carried through its rate. */
export function servegenArrivals(bins: readonly ClientBin[], plan: ServegenPlan, random: Random): Arrivals {
  const { window = { fromMs: 0, toMs: Number.POSITIVE_INFINITY }, speed = 1, amount = 1 } = plan;
  const inside = bins.filter(({ atMs }) => atMs >= window.fromMs && atMs < window.toMs);
  const parts = inside.map(({ piece, family, shape }) => {
    const pieces = scaled([piece], { speed, amount });
    return { arrivals: profileArrivals(pieces, gapsOf(family, shape, random)), lengthMs: durationMs(pieces) };
  });
  let index = 0;
  let startMs = 0;
  return {
    next: () => {
      for (let part = parts[index]; part !== undefined; part = parts[index]) {
        const timeMs = part.arrivals.next();
        if (timeMs < Number.POSITIVE_INFINITY) return startMs + timeMs;
        startMs += part.lengthMs;
        index += 1;
      }
      return Number.POSITIVE_INFINITY;
    },
  };
}

function gapsOf(family: string, shape: number, random: Random): Gaps {
  if (family === 'Gamma') return gammaGaps(random, shape);
  return family === 'Weibull' ? weibullGaps(random, shape) : poissonGaps(random);
}
