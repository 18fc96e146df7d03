import type { Bus } from '@spillway/bus/bus';
import { decodeSignal } from '@spillway/bus/decode-signal';
import { loadStateCodec } from '@spillway/contracts/messages';
import { isName } from '@spillway/contracts/names';
import { ALL_LOAD, loadSubject } from '@spillway/contracts/subjects';
import type { Clock } from '@spillway/lifecycle/clock';
import type { Dispatcher } from '../core/dispatcher.ts';

const PERIOD_MS = 50;
/** A model without traffic is told of once a second. */
const IDLE_PERIODS = 20;

export type LoadExchangeOptions = {
  bus: Bus;
  clock: Clock;
  dispatcher: Dispatcher;
  /** Grows with each life of this instance. */
  epoch: number;
  random: () => number;
  /** Brown-out level that this process asks for by itself. */
  level: () => number;
  isModel: (model: string) => boolean;
  /** Before a state is made: the last look at the streams. */
  refresh: () => void;
};

const modelOf = (subject: string): string => subject.slice(subject.lastIndexOf('.') + 1);

/**
 * Says what this batcher has and can do of each model that it serves or served, 20 times a second at a phase of its own while
 * there is traffic; hears gateways, and the other batchers.
 */
export function exchangeLoad(options: LoadExchangeOptions): Disposable {
  const { bus, clock, dispatcher, epoch, random, level, isModel, refresh } = options;
  const states = bus.subscribe(ALL_LOAD, ({ subject, payload }) => {
    const model = modelOf(subject);
    const state = isName(model) ? decodeSignal(loadStateCodec, payload) : undefined;
    if (state !== undefined && state.instance !== bus.instance) dispatcher.onGatewayLoad(model, state, clock.now());
  });
  let seq = 0;
  const publish = (model: string, nowMs: number): void => {
    seq += 1;
    const batcher = dispatcher.loadOf(model, nowMs);
    const state = { instance: bus.instance, epoch, seq, sentMs: nowMs, level: level(), batcher };
    bus.publish(loadSubject(model), loadStateCodec.encode(state));
  };
  let periods = 0;
  const tick = (): void => {
    periods += 1;
    refresh();
    const nowMs = clock.now();
    for (const [model, { capacity, meter }] of dispatcher.models()) {
      if (capacity.reference === undefined || !isModel(model)) continue; // never served here
      if (periods % IDLE_PERIODS === 0 || meter.busy(nowMs)) publish(model, nowMs);
    }
  };
  let timer: NodeJS.Timeout = setTimeout(() => {
    tick();
    timer = setInterval(tick, PERIOD_MS);
  }, random() * PERIOD_MS);
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      states.stop();
    },
  };
}
