import { setTimeout as delay } from 'node:timers/promises';
import { firstAttempt, type Transport } from './attempt.ts';
import type { Kind } from './kind.ts';

const EVERY_MS = 20;
const BUDGET_MS = 1_000;

/**
 * Sends uncounted requests of each kind, one every 20 ms: connections are open and code is compiled before the first
 * request that counts. @returns Number of the next input.
 */
export async function warmUp(
  kinds: readonly Kind[],
  transportOf: (kindIndex: number) => Transport,
  { forMs, firstInput }: { forMs: number; firstInput: number },
): Promise<number> {
  let input = firstInput;
  const ended: Promise<void>[] = [];
  for (let atMs = 0; atMs < forMs; atMs += EVERY_MS) {
    kinds.forEach((kind, kindIndex) => {
      input += 1;
      const { promise, resolve } = Promise.withResolvers<void>();
      const attempt = firstAttempt({ kind, kindIndex, input, deadlineMs: BUDGET_MS }, 0);
      const giveUp = transportOf(kindIndex).send(attempt, () => resolve());
      ended.push(Promise.race([promise, delay(BUDGET_MS, undefined, { ref: false })]).finally(giveUp));
    });
    await delay(EVERY_MS);
  }
  await Promise.all(ended);
  return input;
}
