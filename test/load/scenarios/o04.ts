import { setTimeout as delay } from 'node:timers/promises';
import { constantRate } from '@spillway/load/profile';
import { groupOf, phaseOf } from '@spillway/load/report-parts';
import type { Service } from '@spillway/testing/mesh';
import { type Figure, value } from '../../sim/measure/figures.ts';
import { CALM_LOAD } from '../flood/mix.ts';
import type { FloodRun } from '../flood/one-flood.ts';
import {
  answered,
  type Case,
  type Context,
  goodputOf,
  kindsOf,
  load,
  type Scenario,
  WORKER_CAPACITY,
} from './scenario.ts';

const CAPACITY = 2 * WORKER_CAPACITY;
const CALM_SECONDS = 6;
const BEFORE = { label: 'before', seconds: 6 };
const FAULT_AT_SECOND = CALM_SECONDS + BEFORE.seconds;
const FAULT_SECONDS = { calm: 5, flood: 2 };
const AFTER_SECONDS = 12;

/** Seconds from the one of the fault on in which more than one vip call in a hundred failed. */
function badVipSeconds({ report }: FloodRun, fromSecond: number): number {
  const vip = report.timeline.groups['vip'];
  if (vip === undefined) throw new Error('the report has no group vip');
  return vip.offered.filter((offered, second) => {
    const served = (vip.good[second] ?? 0) + (vip.degraded[second] ?? 0);
    return second >= fromSecond && offered > 0 && served < 0.99 * offered;
  }).length;
}

type Fault = { service: Service; how: 'killed' | 'stopped'; lastsMs: number };

/** Begins in the middle of the run; ends by itself. */
function faultIn({ mesh }: Context, { service, how, lastsMs }: Fault) {
  const [victim] = mesh.of(service);
  if (victim === undefined) throw new Error(`the mesh has no ${service}`);
  let done: Promise<void> | undefined;
  const begin = async (): Promise<void> => {
    if (how === 'killed') {
      await victim.kill();
      await delay(lastsMs);
      await victim.restart();
    } else {
      process.kill(victim.pid, 'SIGSTOP');
      await delay(lastsMs);
      process.kill(victim.pid, 'SIGCONT');
    }
  };
  return {
    onProgress: ({ atMs }: { atMs: number }) => {
      if (atMs >= FAULT_AT_SECOND * 1_000) done ??= begin();
    },
    ended: () => done,
  };
}

const faulty = (times: number, fault: Fault): Case => ({
  name: `${times}×, one of two ${fault.service}s is ${fault.how} for ${fault.lastsMs / 1_000} s`,
  mesh: { scale: { 'gpu-worker': 2, batcher: 2 } },
  run: async (context) => {
    const happens = faultIn(context, fault);
    const kinds = kindsOf(context.mesh, { times, capacity: CAPACITY });
    const duringMs = fault.lastsMs + 1_000;
    const profile = [
      { label: 'calm', pieces: constantRate(CALM_LOAD * CAPACITY, CALM_SECONDS * 1_000) },
      { label: BEFORE.label, pieces: constantRate(times * CAPACITY, BEFORE.seconds * 1_000) },
      { label: 'fault', pieces: constantRate(times * CAPACITY, duringMs) },
      { label: 'after', pieces: constantRate(times * CAPACITY, AFTER_SECONDS * 1_000) },
    ];
    const run = await load(context, {
      title: `O4 ${fault.service}`,
      kinds,
      profile,
      capacity: CAPACITY,
      onProgress: happens.onProgress,
    });
    await happens.ended();
    const vip = (label: string) => groupOf(phaseOf(run.report, label), 'vip');
    const figures: Figure[] = [
      value('seconds with more than 1 % of vip lost', '', badVipSeconds(run, FAULT_AT_SECOND), { atMost: 2 }),
      answered('vip answered before', vip('before')),
      answered('vip answered during', vip('fault')),
      answered('vip answered after', vip('after'), { atLeast: 99.9 }),
    ];
    if (times > 1) figures.push(value('goodput after', '%', goodputOf(phaseOf(run.report, 'after'), CAPACITY)));
    return figures;
  },
});

const SERVICES: readonly Service[] = ['gpu-worker', 'batcher'];

export const o04: Scenario = {
  id: 'O4',
  title: '0.85× while half of the workers is away for 5 s; 5× while a worker or batcher is away for 2 s',
  cases: [
    faulty(0.85, { service: 'gpu-worker', how: 'killed', lastsMs: FAULT_SECONDS.calm * 1_000 }),
    ...SERVICES.flatMap((service) =>
      (['killed', 'stopped'] as const).map((how) => faulty(5, { service, how, lastsMs: FAULT_SECONDS.flood * 1_000 })),
    ),
  ],
};
