import { randomBytes } from 'node:crypto';
import { monotonicClock } from '@spillway/lifecycle/clock';
import { type Answer, firstAttempt } from './attempt.ts';
import type { Kind } from './kind.ts';
import { LoadError } from './load-error.ts';
import { type InputChoice, openTransports, type Targets } from './open-transports.ts';

export type CapacityOptions = {
  kind: Kind;
  targets: Targets;
  inputs?: InputChoice;
  /** Requests kept in flight. Enough to fill batches on every instance, or the measure is of something else. */
  inFlight?: number;
  warmUpMs?: number;
  forMs?: number;
  plain?: boolean;
};

const PAUSE_MS = 20; // after a refusal: who asks again at once measures refusals
const DEADLINE_MS = 5_000;

/** Requests per second that a target answers when it always has work: a closed loop, so there is no latency to report. */
export async function measureCapacity(options: CapacityOptions): Promise<number> {
  const { inFlight = 256, warmUpMs = 2_000, forMs = 5_000, plain = false, inputs = {} } = options;
  const kind: Kind = { ...options.kind, retry: { kind: 'none' }, cancel: undefined };
  await using transports = await openTransports({
    kinds: [kind],
    targets: options.targets,
    inputs,
    seed: 1,
    maxConnections: inFlight,
    channels: 4,
    patienceMs: 1_000,
    plain,
    runId: randomBytes(4).toString('hex'),
  });
  const transport = transports.of(0);
  const fromMs = monotonicClock.now() + warmUpMs;
  const toMs = fromMs + forMs;
  let input = (Date.now() % 1e6) * 16;
  let answered = 0;
  const failures = new Map<string, number>();
  const caller = async (): Promise<void> => {
    while (monotonicClock.now() < toMs) {
      input += 1;
      const { promise, resolve } = Promise.withResolvers<Answer>();
      const attempt = { kind, kindIndex: 0, input, deadlineMs: DEADLINE_MS };
      transport.send(firstAttempt(attempt, monotonicClock.now()), resolve);
      const answer = await promise;
      const nowMs = monotonicClock.now();
      if (nowMs >= fromMs && nowMs < toMs) {
        if (answer.end === 'ok' && !answer.wrong) answered += 1;
        else failures.set(answer.reason, (failures.get(answer.reason) ?? 0) + 1);
      }
      if (answer.end !== 'ok') await new Promise((resume) => setTimeout(resume, PAUSE_MS));
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  if (answered > 0) return (answered * 1_000) / forMs;
  const why = [...failures].map(([reason, n]) => `${n} × ${reason}`).join(', ');
  throw new LoadError(`capacity: nothing was answered in ${forMs} ms (${why})`);
}
