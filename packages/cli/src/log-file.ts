import { closeSync, mkdirSync, openSync, readSync, statSync } from 'node:fs';
import { copyFile, stat, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A log is bounded by twice this, one old and one current file. */
const ROTATE_AT_BYTES = 16 * 1024 * 1024;
const CHECK_EVERY_MS = 5_000;

/**
 * A file that a child writes into by itself: the launcher is not in the way of a chatty child, and its death does not break the
 * child's output. Opened for appending, so that a truncated file goes on at its new end. The caller closes it after the spawn.
 */
export function openLog(path: string): number {
  mkdirSync(dirname(path), { recursive: true });
  return openSync(path, 'a');
}

/** Copies a grown log to `<path>.1` and empties it. What is written between the two steps is lost: logs, not data. */
export async function rotateIfGrown(path: string, limitBytes = ROTATE_AT_BYTES): Promise<boolean> {
  const size = (await stat(path)).size;
  if (size < limitBytes) return false;
  await copyFile(path, `${path}.1`);
  await truncate(path);
  return true;
}

/** Watches the size of the logs. Does not keep the process alive. */
export function rotateLogs(paths: () => string[]): Disposable {
  const timer = setInterval(() => {
    for (const path of paths()) rotateIfGrown(path).catch(() => {}); // a missing log has nothing to rotate
  }, CHECK_EVERY_MS);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

export const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

/** The last lines of a log, read from its last 16 KiB. Empty if there is none. @param from Bytes before it belong to earlier lives. */
export function tailOf(path: string, lines: number, from = 0): string[] {
  try {
    const size = statSync(path).size;
    const length = Math.min(size - (from > size ? 0 : from), 16 * 1024);
    const buffer = Buffer.alloc(length);
    const file = openSync(path, 'r');
    readSync(file, buffer, 0, length, size - length);
    closeSync(file);
    return buffer.toString('utf8').trimEnd().split('\n').slice(-lines);
  } catch {
    return [];
  }
}
