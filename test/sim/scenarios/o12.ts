import { defaultChain } from '../chain/spec.ts';
import { always, goodput, isVip, share, value } from '../measure/figures.ts';
import { simulate } from '../run/simulate.ts';
import type { Case, Scenario } from './scenario.ts';
import { capacityOf, stepPlan } from './step.ts';

/** Capacity of all gateways over that of the model, with ρ = refusal / accepted in processor time. */
export const survivable = (rho: number, headroom: number): number => 1 + (headroom / 1.05 - 1) / rho;

const withCpu = (load: number, rho: number, headroom: number): Case => ({
  name: `${load.toFixed(1)}×, ρ ${Math.round(100 * rho)} %, H ${headroom.toFixed(2)}`,
  run: (options) => {
    const perGateway = (capacityOf() * headroom) / defaultChain.gateways / 1_000; // accepted requests per ms
    const cpu = { acceptMs: 1 / perGateway, refuseMs: rho / perGateway };
    const outcome = simulate(stepPlan({ load, chain: { cpu }, seconds: 10 }, options), options);
    const { fromMs, toMs } = outcome.tally.phase('overload');
    const vip = outcome.tally.cell('overload', isVip);
    const all = outcome.tally.cell('overload');
    return {
      figures: [
        value('refusal p99', 'ms', all.refusalLatency.quantile(0.99), { atMost: 10 }, { atMost: 3 }),
        share('vip answered', vip.answered, vip.calls, { atLeast: 99.99 }),
        value('goodput', '%', goodput(outcome, fromMs, toMs)),
        value('survivable overload', '×', survivable(rho, headroom)),
        ...always(outcome, 'overload'),
      ],
      events: outcome.events,
    };
  },
});

/** Refusing costs processor time too. */
export const o12: Scenario = {
  id: 'O12',
  title: 'gateways whose processor is finite, up to the overload they survive',
  baselines: false,
  cases: [
    withCpu(2, 0.08, 1.5),
    withCpu(4, 0.08, 1.5),
    withCpu(6.3, 0.08, 1.5),
    withCpu(5, 0.02, 1.05 * (1 + 4 * 0.02)),
    withCpu(5, 0.2, 1.05 * (1 + 4 * 0.2)),
  ],
};
