import type { Mesh } from '../chain/mesh.ts';
import type { Simulation } from '../engine/simulation.ts';
import { isVip, recoveredAfterMs, share, value } from '../measure/figures.ts';
import { BIN_MS, type Tally } from '../measure/tally.ts';
import { simulate } from '../run/simulate.ts';
import type { Case, Scenario } from './scenario.ts';
import { BASE_MS, stepPlan, WARM_MS } from './step.ts';

const STEP_MS = WARM_MS + BASE_MS;

/** From the fault to the end of the last 50 ms in which more than 1 in 100 vip calls failed. */
function vipFailureWindowMs(tally: Tally, fromMs: number, toMs: number): number {
  let lastMs = fromMs;
  for (let atMs = fromMs; atMs < toMs; atMs += BIN_MS) {
    const [begun, answered] = [tally.begun[0]?.at(atMs) ?? 0, tally.answered[0]?.at(atMs) ?? 0];
    if (begun > 0 && answered < 0.99 * begun) lastMs = atMs + BIN_MS;
  }
  return lastMs - fromMs;
}

/** Half of the instances stand still for 5 s while 0.85 of capacity is offered. */
const halfStops: Case = {
  name: '0.85×, half of the instances stop 5 s',
  run: (options) => {
    const plan = stepPlan({ load: 0.85, seconds: 10 }, { ...options, seconds: 10 });
    const faults = ({ workers }: Mesh, sim: Simulation): void => {
      const half = workers.slice(0, workers.length / 2);
      sim.at(
        STEP_MS + 1_000,
        () => {
          for (const { instance } of half) instance.stop();
        },
        undefined,
      );
      sim.at(
        STEP_MS + 6_000,
        () => {
          for (const { instance } of half) instance.resume();
        },
        undefined,
      );
    };
    const outcome = simulate({ ...plan, faults }, options);
    const vip = outcome.tally.cell('overload', isVip);
    const returnMs = STEP_MS + 6_000;
    return {
      figures: [
        value('99 % success after', 'ms', recoveredAfterMs(outcome, returnMs, STEP_MS + 10_000, 0.99), {
          atMost: 2_000,
        }),
        share('vip answered', vip.answered, vip.calls, { atLeast: 99 }, { atLeast: 99.99 }),
        value(
          'vip failure window',
          'ms',
          vipFailureWindowMs(outcome.tally, STEP_MS + 1_000, STEP_MS + 10_000),
          { atMost: 2_000 },
          { atMost: 1_000 },
        ),
      ],
      events: outcome.events,
    };
  },
};

type Fault = { name: string; begin: (mesh: Mesh) => void; end: (mesh: Mesh) => void };

const FAULTS: readonly Fault[] = [
  { name: 'a worker is killed', begin: (m) => m.killWorker(0), end: (m) => m.restartWorker(0) },
  {
    name: 'a worker stands still',
    begin: (m) => m.workers[0]?.instance.stop(),
    end: (m) => m.workers[0]?.instance.resume(),
  },
  { name: 'a batcher is killed', begin: (m) => m.killBatcher(0), end: (m) => m.restartBatcher(0) },
  { name: 'a batcher stands still', begin: (m) => m.batchers[0]?.stop(), end: (m) => m.batchers[0]?.resume() },
  { name: 'a gateway is killed', begin: (m) => m.gateways[0]?.kill(), end: (m) => m.gateways[0]?.restart() },
  { name: 'a gateway stands still', begin: (m) => m.gateways[0]?.stop(), end: (m) => m.gateways[0]?.resume() },
];

/** At 5×, two of each service, one of them fails for 2 s. */
const atFive = ({ name, begin, end }: Fault): Case => ({
  name: `5×, ${name}`,
  run: (options) => {
    const chain = { gateways: 2, batchers: 2 };
    const plan = stepPlan({ load: 5, chain }, { ...options, seconds: 8 });
    const [fromMs, toMs] = [STEP_MS + 2_000, STEP_MS + 4_000];
    const faults = (mesh: Mesh, sim: Simulation): void => {
      sim.at(fromMs, () => begin(mesh), undefined);
      sim.at(toMs, () => end(mesh), undefined);
    };
    const outcome = simulate({ ...plan, faults }, options);
    const { tally, instances } = outcome;
    const vip = tally.cell('overload', isVip);
    const standing = name.endsWith('still');
    return {
      figures: [
        value(
          'vip failure window',
          'ms',
          vipFailureWindowMs(tally, standing ? toMs : fromMs, STEP_MS + 8_000),
          { atMost: 2_000 },
          { atMost: 1_000 },
        ),
        share('vip answered', vip.answered, vip.calls, undefined, { atLeast: 99.99 }),
        value('goodput after it', '%', (100 * tally.work(toMs + 1_000, STEP_MS + 8_000)) / instances, { atLeast: 95 }),
      ],
      events: outcome.events,
    };
  },
});

/** Things that stop, and return. */
export const o04: Scenario = {
  id: 'O4',
  title: '0.85×, half of the instances stop 5 s; at 5× one of two of each service is killed or stands still for 2 s',
  baselines: false,
  cases: [halfStops, ...FAULTS.map(atFive)],
};
