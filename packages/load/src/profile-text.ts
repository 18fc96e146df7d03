import { LoadError } from './load-error.ts';
import { constantRate, type Phase, type Piece, type Profile, ramp, sawtooth, squareBursts } from './profile.ts';
import { readDuration, readRate } from './quantity.ts';

const SHAPES = `"300 20s", "0.7x..2x 60s", "saw 0.5x..2x every 5s 60s", "square 0.7x..1.8x every 400ms [burst 50ms] 20s"`;

/**
 * Reads phases such as `calm: 0.7x 10s, flood: 5x 20s, calm again: 0.7x 10s`: a label if wanted, a shape, a duration.
 * @param capacity Requests/s that `x` multiplies.
 * @throws LoadError naming the phase, what was expected and what came.
 */
export function parseProfile(text: string, capacity?: number): Profile {
  const phases = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  if (phases.length === 0) throw new LoadError(`profile: expected phases such as ${SHAPES}, got nothing`);
  return phases.map((phase) => readPhase(phase, capacity));
}

function readPhase(text: string, capacity: number | undefined): Phase {
  const colon = text.indexOf(':');
  const shape = text.slice(colon + 1).trim();
  const label = colon < 0 ? shape : text.slice(0, colon).trim();
  return { label, pieces: readShape(shape, label, capacity) };
}

function readShape(shape: string, label: string, capacity: number | undefined): Piece[] {
  const what = `phase "${label}"`;
  const rate = (text: string): number => readRate(text, what, capacity);
  const words = shape.split(/\s+/);
  const forMs = readDuration(words.pop() ?? '', what);
  const [kind = ''] = words;
  const [range = ''] = kind === 'saw' || kind === 'square' ? words.splice(0, 2).slice(1) : words.splice(0, 1);
  const [low = '', high = ''] = range.split('..');
  const named = readNamed(words, what);
  if (kind === 'saw' && named.everyMs !== undefined) return sawtooth(rate(low), rate(high), named.everyMs, forMs);
  if (kind === 'square' && named.everyMs !== undefined) {
    const { everyMs: periodMs, burstMs = periodMs / 2 } = named;
    return squareBursts({ low: rate(low), high: rate(high), burstMs, periodMs }, forMs);
  }
  if (kind === 'saw' || kind === 'square' || words.length > 0) {
    throw new LoadError(`${what}: expected one of ${SHAPES}, got "${shape}"`);
  }
  return high === '' ? constantRate(rate(range), forMs) : ramp(rate(low), rate(high), forMs);
}

/** `every 400ms burst 50ms` in any order. */
function readNamed(words: readonly string[], what: string): { everyMs?: number; burstMs?: number } {
  const named: { everyMs?: number; burstMs?: number } = {};
  for (let at = 0; at < words.length; at += 2) {
    const [name = '', value = ''] = words.slice(at, at + 2);
    if (name === 'every') named.everyMs = readDuration(value, `${what}, every`);
    else if (name === 'burst') named.burstMs = readDuration(value, `${what}, burst`);
    else throw new LoadError(`${what}: expected "every" or "burst", got "${name}"; shapes are ${SHAPES}`);
  }
  return named;
}
