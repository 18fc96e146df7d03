import type { Mesh } from '@spillway/testing/mesh';
import type { Balancer } from './balancer.ts';
import { SteadyLoad } from './steady-load.ts';

/** What a caller who does nothing wrong may wait for each answer. */
const BUDGET_MS = 30_000;

/** Good traffic, for tests in which somebody else does everything wrong. */
export const trafficBeside = (mesh: Mesh, caller: Balancer): SteadyLoad =>
  new SteadyLoad({
    caller,
    perSecond: 50,
    models: ['mlp', 'simple'],
    budgetMs: BUDGET_MS,
    key: mesh.keys.standard,
    pids: () => mesh.instances.map(({ pid }) => pid),
  });
