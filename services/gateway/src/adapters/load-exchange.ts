import type { Bus } from '@spillway/bus/bus';
import { decodeSignal } from '@spillway/bus/decode-signal';
import { listenToHeartbeats } from '@spillway/bus/heartbeats';
import { ClockOffsets } from '@spillway/contracts/deadline';
import { loadStateCodec } from '@spillway/contracts/messages';
import { isName } from '@spillway/contracts/names';
import { ALL_LOAD, loadSubject } from '@spillway/contracts/subjects';
import type { Clock } from '@spillway/lifecycle/clock';
import type { Admission } from '../core/admission/admission.ts';

const TICK_MS = 50;
/** A model without traffic is told of once a second. */
const IDLE_TICKS = 20;
const PRUNE_TICKS = 200;

const modelOf = (subject: string): string => subject.slice(subject.lastIndexOf('.') + 1);

/**
 * Keeps admission's view of the mesh: hears what batchers and gateways say of their load, this gateway included, and says what
 * this one sees, 20 times a second at a phase of its own.
 * @param epoch Grows with each life of this instance.
 */
export function exchangeLoad(options: {
  bus: Bus;
  clock: Clock;
  admission: Admission;
  epoch: number;
  random: () => number;
}): Disposable {
  const { bus, clock, admission, epoch, random } = options;
  const offsets = new ClockOffsets();
  const heartbeats = listenToHeartbeats(bus, { offsets, clock, services: ['gateway', 'batcher'] });
  const states = bus.subscribe(ALL_LOAD, ({ subject, payload }) => {
    const model = modelOf(subject);
    const state = isName(model) ? decodeSignal(loadStateCodec, payload) : undefined;
    if (state === undefined) return;
    const nowMs = clock.now();
    admission.onLoad(model, state, offsets.ageMs(state.instance, state.sentMs, nowMs), nowMs);
  });
  const leaving = [
    bus.onDown(() => admission.busAway(true, clock.now())),
    bus.onUp(() => admission.busAway(false, clock.now())),
  ];
  const lastSeq = new Map<string, number>();
  const publish = (model: string, nowMs: number): void => {
    const seq = (lastSeq.get(model) ?? 0) + 1;
    lastSeq.set(model, seq);
    const gateway = admission.loadOf(model, nowMs);
    const state = { instance: bus.instance, epoch, seq, sentMs: nowMs, level: admission.levelOf(model), gateway };
    bus.publish(loadSubject(model), loadStateCodec.encode(state));
  };
  let ticks = 0;
  const tick = (): void => {
    const nowMs = clock.now();
    ticks += 1;
    admission.tick(nowMs);
    for (const model of admission.models()) {
      if (ticks % IDLE_TICKS === 0 || admission.busy(model, nowMs)) publish(model, nowMs);
    }
    if (ticks % PRUNE_TICKS === 0) heartbeats.prune();
  };
  let timer: NodeJS.Timeout = setTimeout(() => {
    tick();
    timer = setInterval(tick, TICK_MS);
  }, random() * TICK_MS);
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      states.stop();
      heartbeats.stop();
      for (const leave of leaving) leave();
    },
  };
}
