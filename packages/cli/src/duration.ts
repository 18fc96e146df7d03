import { usageError } from './context.ts';

const UNIT_MS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `10m`, `2h`, `30d` in ms; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  return match ? Number(match[1]) * (UNIT_MS[match[2] as string] as number) : undefined;
}

/** Reads an option such as `--for 10m`. @throws CliError (exit code 2) naming the range. */
export function durationOption(
  command: string,
  name: string,
  text: string,
  range: { min: string; max: string },
): number {
  const ms = parseDuration(text) ?? Number.NaN;
  if (ms >= (parseDuration(range.min) ?? 0) && ms <= (parseDuration(range.max) ?? 0)) return ms;
  throw usageError(
    `--${name}: expected a time from ${range.min} to ${range.max}, such as 90s, 10m, 2h, 30d, got "${text}"`,
    command,
  );
}

/** `59 s`, `14 min`, `3.4 h`, `29 d`; `over` when nothing is left. */
export function timeLeft(ms: number): string {
  if (ms <= 0) return 'over';
  const seconds = Math.ceil(ms / 1_000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${(seconds / 3_600).toFixed(1)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}
