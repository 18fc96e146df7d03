import { monotonicClock } from '@spillway/lifecycle/clock';
import type { Attempt } from './attempt.ts';
import type { Kind } from './kind.ts';
import { type InputChoice, openTransports, type Targets } from './open-transports.ts';

export type CapacityOptions = {
  kind: Kind;
  targets: Targets;
  inputs?: InputChoice;
  /** Requests under way at any time. More than two full batches of every instance, else it is not the model that is measured. */
  inFlight: number;
  warmUpMs: number;
  measureMs: number;
  plain?: boolean;
};

export type Capacity = { perSecond: number; answered: number; refused: number; failed: number };

const REFUSED_AGAIN_MS = 5; // a refusal in a closed loop must not become a loop of refusals

/** What a target serves when there is always something to do: a closed loop, each answer followed by the next request. */
export async function measureCapacity(options: CapacityOptions): Promise<Capacity> {
  const { kind, targets, inputs = {}, inFlight, warmUpMs, measureMs, plain = false } = options;
  await using transports = await openTransports({
    kinds: [kind],
    targets,
    inputs,
    seed: 1,
    maxConnections: inFlight,
    channels: 4,
    patienceMs: 250,
    plain,
    runId: 'capacity',
  });
  const transport = transports.of(0);
  const startMs = monotonicClock.now() + warmUpMs;
  const endMs = startMs + measureMs;
  const deadlineMs = kind.deadlineMs[0]?.value ?? 5_000;
  const counts = { answered: 0, refused: 0, failed: 0 };
  let input = Math.floor(startMs) * 1_000;
  const loop = (): Promise<void> =>
    new Promise((resolve) => {
      const next = (): void => {
        const nowMs = monotonicClock.now();
        if (nowMs >= endMs) {
          resolve();
          return;
        }
        input += 1;
        const times = { dueMs: nowMs, firstDueMs: nowMs, zeroMs: nowMs, deadlineMs, budgetMs: deadlineMs };
        const attempt: Attempt = { kind, kindIndex: 0, input, tries: 1, ...times, over: false, giveUp: undefined };
        transport.send(attempt, ({ end }) => {
          const atMs = monotonicClock.now();
          if (atMs >= startMs && atMs < endMs)
            counts[end === 'ok' ? 'answered' : end === 'refused' ? 'refused' : 'failed'] += 1;
          if (end === 'ok') next();
          else setTimeout(next, REFUSED_AGAIN_MS);
        });
      };
      next();
    });
  await Promise.all(Array.from({ length: inFlight }, loop));
  return { perSecond: (counts.answered * 1_000) / measureMs, ...counts };
}
