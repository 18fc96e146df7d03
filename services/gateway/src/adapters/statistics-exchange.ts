import type { Bus } from '@spillway/bus/bus';
import { decodeSignal } from '@spillway/bus/decode-signal';
import { watchLeases } from '@spillway/bus/leases';
import { gatewayStatisticsCodec, type VersionTotals } from '@spillway/contracts/messages';
import { STATISTICS_SUBJECT } from '@spillway/contracts/subjects';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Clock, WallClock } from '@spillway/lifecycle/clock';
import type { ModelStatistics } from '../core/model-statistics.ts';

/** A gateway that is alive answers within a millisecond or two; a busy one may take longer. */
const WAIT_MS = 500;
const EMPTY = new Uint8Array();

const away = (text: string, reason: string): SpillwayError =>
  new SpillwayError('UNAVAILABLE', text, { reason, retryAfterMs: 1_000 });

export type StatisticsExchange = Disposable & {
  /**
   * What all live gateways have counted, this one included. One that does not answer in time stands with what it said last, so that
   * no sum is lower than the one before it.
   * @throws SpillwayError `UNAVAILABLE`: the bus is away, or a live gateway has said nothing yet.
   */
  gather(): Promise<VersionTotals[]>;
};

type Round = { waitingFor: Set<string>; done: () => void };

/** Tells other gateways what this one has counted, and asks them. Who asks while a round is under way shares the next one. */
export function exchangeStatistics(options: {
  bus: Bus;
  clock: Clock;
  wallClock: WallClock;
  counted: ModelStatistics;
}): StatisticsExchange {
  const { bus, clock, wallClock, counted } = options;
  const own = (): VersionTotals[] => counted.totals(wallClock.epochMs() - clock.now());
  const heard = new Map<string, VersionTotals[]>();
  const inbox = bus.inbox();
  const gateways = watchLeases(bus, 'gateway', clock);
  let round: Round | undefined;
  const questions = bus.subscribe(STATISTICS_SUBJECT, ({ reply }) => {
    if (reply === '' || reply === inbox) return;
    bus.publish(reply, gatewayStatisticsCodec.encode({ gateway: bus.instance, versions: own() }));
  });
  const answers = bus.subscribe(inbox, ({ payload }) => {
    const answer = decodeSignal(gatewayStatisticsCodec, payload);
    if (answer === undefined) return;
    heard.set(answer.gateway, answer.versions);
    if (round?.waitingFor.delete(answer.gateway) && round.waitingFor.size === 0) round.done();
  });

  const ask = async (): Promise<VersionTotals[]> => {
    if (!bus.up) throw away('the message bus is away', 'bus');
    const others = gateways.list().filter(({ instance }) => instance !== bus.instance);
    const live = new Set(others.map(({ instance }) => instance));
    for (const instance of heard.keys()) if (!live.has(instance)) heard.delete(instance);
    if (live.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      round = { waitingFor: new Set(live), done: resolve };
      const late = setTimeout(resolve, WAIT_MS);
      bus.publish(STATISTICS_SUBJECT, EMPTY, { reply: inbox });
      await promise;
      clearTimeout(late);
      round = undefined;
    }
    const theirs = [...live].map((instance) => heard.get(instance));
    const silent = theirs.filter((totals) => totals === undefined).length;
    if (silent > 0)
      throw away(`${silent} of ${live.size + 1} gateways did not tell what they have counted`, 'statistics');
    return [...own(), ...theirs.flatMap((totals) => totals ?? [])];
  };

  let last: Promise<unknown> = Promise.resolve();
  let next: Promise<VersionTotals[]> | undefined;
  const gather = (): Promise<VersionTotals[]> => {
    if (next === undefined) {
      next = last.then(() => {
        next = undefined;
        return ask();
      });
      last = next.catch(() => undefined); // whoever asked is told
    }
    return next;
  };
  return {
    gather,
    [Symbol.dispose]: () => {
      questions.stop();
      answers.stop();
      gateways.stop();
      round?.done();
    },
  };
}
