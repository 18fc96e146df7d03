import { LoadError } from './load-error.ts';

const UNITS_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000 };

/** `200ms`, `10s`, `2m`, `1h`. @throws LoadError naming `what` */
export function readDuration(text: string, what: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|min|h)$/.exec(text.trim()) ?? [];
  const ms = Number(number) * (UNITS_MS[unit] ?? Number.NaN);
  if (ms > 0) return ms;
  throw new LoadError(`${what}: expected a duration such as 200ms, 10s, 2m or 1h, got "${text}"`);
}

/** `300` requests/s, or `0.7x` of a capacity. @throws LoadError naming `what` */
export function readRate(text: string, what: string, capacity: number | undefined): number {
  const [, number = '', times = ''] = /^(\d+(?:\.\d+)?)(x?)$/.exec(text.trim()) ?? [];
  if (number === '')
    throw new LoadError(`${what}: expected requests/s such as 300, or 0.7x of the capacity, got "${text}"`);
  if (times === '') return Number(number);
  if (capacity === undefined)
    throw new LoadError(`${what}: "${text}" is a multiple of the capacity, and none was given`);
  return Number(number) * capacity;
}

/** @throws LoadError naming `what` */
export function readNumber(text: string, what: string, range: { min: number; max: number }): number {
  const value = /^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (value >= range.min && value <= range.max) return value;
  throw new LoadError(`${what}: expected a number from ${range.min} to ${range.max}, got "${text}"`);
}
