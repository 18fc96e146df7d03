import { setTimeout as delay } from 'node:timers/promises';

const LOOK_MS = 5;

/** Waits for a condition of a test. @throws Error that names what did not happen. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 30_000): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await delay(LOOK_MS);
  }
}
