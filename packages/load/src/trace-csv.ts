import { LoadError } from './load-error.ts';

/** Requests at known times. */
export type TimesTrace = { kind: 'times'; startEpochMs: number; timesMs: Float64Array };

/** Requests in each period; NaN where the file has no row, which means missing, not zero. */
export type CountsTrace = { kind: 'counts'; startEpochMs: number; periodMs: number; counts: Float64Array };

export type Trace = TimesTrace | CountsTrace;

const MAX_PERIODS = 5_000_000;

/**
 * Reads a CSV file with a head. With a column `count` each row is a period and its number of requests, else each row is a
 * request. Times stand in the first column: `2023-11-16 18:15:46.6805900` (UTC, any number of digits) or seconds.
 * @throws LoadError naming the line, what was expected and what came.
 */
export function parseTrace(text: string): Trace {
  const lines = text.split(/\r?\n/);
  const head = fields(lines[0] ?? '').map((name) => name.toLowerCase());
  const countColumn = head.indexOf('count');
  if ((head[0] ?? '') === '' || readTime(head[0] ?? '') !== undefined) {
    throw new LoadError(`line 1: expected a head such as "timestamp,…", got "${lines[0] ?? ''}"`);
  }
  const times: Time[] = [];
  const counts: number[] = [];
  for (let at = 1; at < lines.length; at += 1) {
    const line = lines[at] as string;
    if (line === '') continue;
    const row = fields(line);
    const time = readTime(row[0] ?? '');
    if (time === undefined) {
      throw new LoadError(
        `line ${at + 1}: expected a time like 2023-11-16 18:15:46.6805900 or seconds, got "${row[0]}"`,
      );
    }
    times.push(time);
    if (countColumn < 0) continue;
    const count = Number(row[countColumn] || Number.NaN);
    if (!(count >= 0))
      throw new LoadError(`line ${at + 1}: expected a count of at least 0, got "${row[countColumn] ?? ''}"`);
    counts.push(count);
  }
  if (times.length < 2) throw new LoadError(`expected at least 2 rows, got ${times.length}`);
  return countColumn < 0 ? timesTrace(times) : countsTrace(times, counts);
}

/** Whole seconds and the rest apart: the sum of both has more digits than a number. */
type Time = { seconds: number; fraction: number };

const fields = (line: string): string[] => line.split(',').map((field) => field.trim().replace(/^"(.*)"$/, '$1'));

function readTime(text: string): Time | undefined {
  const [, whole = '', digits = ''] = /^([^.]+?)(?:\.(\d*))?Z?$/.exec(text) ?? [];
  const fraction = digits === '' ? 0 : Number(`0.${digits}`);
  if (/^\d+$/.test(whole)) return { seconds: Number(whole), fraction };
  const epochMs = /^\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?$/.test(whole)
    ? Date.parse(`${whole.replace(' ', 'T')}Z`)
    : Number.NaN;
  return Number.isNaN(epochMs) ? undefined : { seconds: epochMs / 1_000, fraction };
}

const sinceMs = (time: Time, zero: Time): number =>
  (time.seconds - zero.seconds) * 1_000 + (time.fraction - zero.fraction) * 1_000;

const epochMsOf = ({ seconds, fraction }: Time): number => (seconds + fraction) * 1_000;

function timesTrace(times: readonly Time[]): TimesTrace {
  const zero = times.reduce((a, b) => (sinceMs(b, a) < 0 ? b : a));
  const timesMs = Float64Array.from(times, (time) => sinceMs(time, zero)).sort();
  return { kind: 'times', startEpochMs: epochMsOf(zero), timesMs };
}

function countsTrace(times: readonly Time[], values: readonly number[]): CountsTrace {
  const [zero, second] = times as [Time, Time, ...Time[]];
  let periodMs = sinceMs(second, zero);
  for (let n = 1; n < times.length; n += 1) {
    const stepMs = sinceMs(times[n] as Time, times[n - 1] as Time);
    if (!(stepMs > 0)) throw new LoadError(`row ${n + 1}: expected a later time than in the row before`);
    periodMs = Math.min(periodMs, stepMs);
  }
  const length = Math.round(sinceMs(times.at(-1) as Time, zero) / periodMs) + 1;
  if (length > MAX_PERIODS)
    throw new LoadError(`expected at most ${MAX_PERIODS} periods of ${periodMs} ms, got ${length}`);
  const counts = new Float64Array(length).fill(Number.NaN);
  times.forEach((time, n) => {
    counts[Math.round(sinceMs(time, zero) / periodMs)] = values[n] as number;
  });
  return { kind: 'counts', startEpochMs: epochMsOf(zero), periodMs, counts };
}
