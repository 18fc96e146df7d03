import { randomBytes } from 'node:crypto';
import { monotonicClock } from '@spillway/lifecycle/clock';
import { type Answer, firstAttempt } from './attempt.ts';
import type { Kind } from './kind.ts';
import { TargetError } from './load-error.ts';
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

/**
 * What a target serves when there is always something to do: a closed loop, each answer followed by the next request. The
 * kind's first deadline counts; its retries and cancels do not.
 * @throws TargetError when nothing was answered.
 */
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
    runId: randomBytes(4).toString('hex'),
  });
  const transport = transports.of(0);
  const startMs = monotonicClock.now() + warmUpMs;
  const endMs = startMs + measureMs;
  const deadlineMs = kind.deadlineMs[0]?.value ?? 5_000;
  const counts = { answered: 0, refused: 0, failed: 0 };
  const reasons = new Set<string>();
  let input = (Date.now() % 1e6) * 16; // another run's answers may still lie in a cache
  const count = (answer: Answer): void => {
    const atMs = monotonicClock.now();
    if (atMs < startMs || atMs >= endMs) return;
    if (answer.end === 'ok' && !answer.wrong) counts.answered += 1;
    else if (answer.end === 'refused') counts.refused += 1;
    else counts.failed += 1;
    if (answer.reason !== '') reasons.add(answer.reason);
  };
  const loop = (): Promise<void> =>
    new Promise((resolve) => {
      const next = (): void => {
        const nowMs = monotonicClock.now();
        if (nowMs >= endMs) {
          resolve();
          return;
        }
        input += 1;
        transport.send(firstAttempt({ kind, kindIndex: 0, input, deadlineMs }, nowMs), (answer) => {
          count(answer);
          if (answer.end === 'ok') next();
          else setTimeout(next, REFUSED_AGAIN_MS);
        });
      };
      next();
    });
  await Promise.all(Array.from({ length: inFlight }, loop));
  if (counts.answered === 0)
    throw new TargetError(`capacity: nothing was answered in time (${[...reasons].join(', ')})`);
  return { perSecond: (counts.answered * 1_000) / measureMs, ...counts };
}
