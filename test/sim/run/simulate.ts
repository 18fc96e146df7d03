import { randomStream } from '@spillway/load/random';
import { type Baseline, BaselineServer } from '../baselines/server.ts';
import type { RunFacts } from '../chain/attempt.ts';
import { Mesh } from '../chain/mesh.ts';
import { type ChainSpec, defaultChain, type Mechanism, type World } from '../chain/spec.ts';
import type { Flow } from '../clients/flow.ts';
import { Population } from '../clients/population.ts';
import { Simulation } from '../engine/simulation.ts';
import { type Phase, Tally } from '../measure/tally.ts';

/** What a run is made with besides its scenario. */
export type RunOptions = {
  seed: number;
  /** Absent: the product's policies. */
  baseline?: Baseline;
  off: ReadonlySet<Mechanism>;
  /** Length of an overload, in place of the scenario's own. */
  seconds?: number;
  /** CSV files of arrivals. */
  traces?: readonly string[];
};

export type Plan = {
  chain?: Partial<ChainSpec>;
  flows: readonly Flow[];
  phases: readonly Phase[];
  /** Even when absent. */
  gatewayShares?: readonly number[];
  endMs: number;
  /** Schedules what goes wrong. */
  faults?: (mesh: Mesh, sim: Simulation) => void;
};

export type Outcome = { tally: Tally; events: number; instances: number; mesh: Mesh | undefined };

/** One run in virtual time: the same seed gives the same outcome. */
export function simulate(plan: Plan, options: RunOptions): Outcome {
  const sim = new Simulation();
  const spec: ChainSpec = { ...defaultChain, ...plan.chain, off: options.off };
  const world: World = { sim, spec, draw: (part) => randomStream(options.seed, part) };
  const tally = new Tally(
    plan.phases,
    plan.flows.map(({ name }) => name),
  );
  const facts: RunFacts = {
    onRun: (rows, startedLate, endedLate, runMs) => tally.run(sim.now(), rows, startedLate, endedLate, runMs),
    onLevel: (level) => {
      if (tally.levels.at(-1)?.level !== level) tally.levels.push({ atMs: sim.now(), level });
    },
  };
  const { baseline } = options;
  const mesh = baseline === undefined ? new Mesh(world, facts) : undefined;
  const service = mesh ?? new BaselineServer(world, facts, baseline as Baseline);
  if (mesh !== undefined) plan.faults?.(mesh, sim);
  new Population({
    world,
    service,
    flows: plan.flows,
    tally,
    gatewayShares: plan.gatewayShares ?? Array.from({ length: spec.gateways }, () => 1),
    withoutBudget: baseline !== undefined || options.off.has('budget'),
  });
  sim.run(plan.endMs);
  return { tally, events: sim.events, instances: spec.instances, mesh };
}
