import { type Progress, progressLine } from '@spillway/load/progress';
import type { GroupReport, LoadReport } from '@spillway/load/report';
import { groupOf, phaseOf } from '@spillway/load/report-parts';
import { runLoad } from '@spillway/load/run-load';
import { type Bound, type Figure, share, value } from '../../sim/measure/figures.ts';
import { FLOOD, stepProfile } from '../flood/mix.ts';
import { type Context, failuresOf, goodputOf, kindsOf, WORKER_CAPACITY } from './scenario.ts';

type Split = {
  /** Of the traffic, for each gateway. */
  parts: readonly number[];
  times: number;
  seconds: Parameters<typeof stepProfile>[1];
  onProgress?: (progress: Progress) => void;
};

/** Calm, flood, calm, with the traffic divided between the gateways. One report for each. */
export function loadGateways({ mesh, seed, say }: Context, { parts, times, seconds, onProgress }: Split) {
  return Promise.all(
    mesh.of('gateway').map(({ http }, n) =>
      runLoad({
        kinds: kindsOf(mesh, { times }),
        plan: {
          profile: stepProfile({ capacity: (parts[n] ?? 0) * WORKER_CAPACITY, times }, seconds),
          process: 'poisson',
        },
        targets: { http: `http://${http}` },
        seed: seed + n,
        ...(n === 0 && {
          onProgress: (progress) => {
            say(progressLine(progress));
            onProgress?.(progress);
          },
        }),
      }),
    ),
  );
}

/** What all gateways together showed in the flood. */
export function floodOfAll(reports: readonly LoadReport[], must: { goodput: Bound; refused?: Bound }): Figure[] {
  const floods = reports.map((report) => phaseOf(report, FLOOD));
  const vips = floods.map((flood) => groupOf(flood, 'vip'));
  const alls = floods.map(({ all }) => all);
  const sum = (groups: readonly GroupReport[], of: (group: GroupReport) => number): number =>
    groups.reduce((total, group) => total + of(group), 0);
  const goodput = floods.reduce((total, flood) => total + goodputOf(flood), 0);
  const [served, offered] = [sum(vips, (vip) => vip.served), sum(vips, (vip) => vip.offered)];
  const [prompt, failures] = [sum(alls, (all) => all.promptRefusals), sum(alls, failuresOf)];
  return [
    value('goodput', '%', goodput, must.goodput),
    share('vip answered', served, offered, { atLeast: 99.99 }),
    share('failures refused within 10 ms', prompt, failures, must.refused),
  ];
}
