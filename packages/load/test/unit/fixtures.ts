import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { replayArrivals } from '../../src/arrivals.ts';
import { type Answer, type Attempt, failed, type Transport } from '../../src/attempt.ts';
import type { Kind } from '../../src/kind.ts';
import { LoadLoop, type LoopOptions } from '../../src/loop.ts';
import { randomStream } from '../../src/random.ts';
import { Recorder } from '../../src/recorder.ts';

export const kind = (with_: Partial<Kind> = {}): Kind => ({
  name: 'standard',
  weight: 1,
  phaseWeights: {},
  model: 'simulated',
  protocol: 'http',
  trafficClass: undefined,
  key: undefined,
  tenant: 'test',
  deadlineMs: [{ value: 100, weight: 1 }],
  rows: 1,
  accept: undefined,
  retry: { kind: 'none' },
  cancel: undefined,
  headers: {},
  ...with_,
});

export const ok = (with_: Partial<Answer> = {}): Answer => ({ ...failed(''), end: 'ok', ...with_ });
export const refused = (retryAfterMs = Number.NaN, reason = 'fair_rate'): Answer => ({
  ...failed(reason),
  end: 'refused',
  retryAfterMs,
});

type Sent = { attempt: Attempt; atMs: number; end: (answer: Answer) => void; givenUp: boolean };

/** A loop on a clock that a test advances, over a transport that a test answers. Times count from the start. */
export function makeLoop(kinds: readonly Kind[], dueMs: readonly number[], more: Partial<LoopOptions> = {}) {
  const clock = new ManualClock();
  const startMs = clock.now();
  const sent: Sent[] = [];
  const transport: Transport = {
    send: (attempt, end) => {
      const one: Sent = { attempt, atMs: clock.now() - startMs, end, givenUp: false };
      sent.push(one);
      return () => {
        one.givenUp = true;
      };
    },
    connections: 1,
    close: async () => undefined,
  };
  const phases = [
    { label: 'first', fromMs: 0, toMs: 1_000 },
    { label: 'second', fromMs: 1_000, toMs: 2_000 },
  ];
  const recorder = new Recorder({ groups: kinds.map(({ name }) => name), phases, sliceMs: 1_000, startMs });
  const loop = new LoadLoop({
    clock,
    kinds,
    transports: kinds.map(() => transport),
    arrivals: replayArrivals(Float64Array.from(dueMs)),
    kindAt: () => 0,
    random: randomStream(1, 'loop'),
    recorder,
    startMs,
    patienceMs: 50,
    maxInFlight: 1_000,
    firstInput: 0,
    ...more,
  });
  /** Advances in steps of 1 ms, as the timer would. */
  const runTo = (atMs: number): void => {
    while (clock.now() - startMs < atMs) {
      clock.advance(Math.min(1, atMs - (clock.now() - startMs)));
      loop.tick();
    }
  };
  return { clock, loop, recorder, sent, runTo, group: recorder.groups[0]! };
}
