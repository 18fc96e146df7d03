import { defaultChain } from '../chain/spec.ts';
import { always, goodput, isVip, share, value } from '../measure/figures.ts';
import { simulate } from '../run/simulate.ts';
import type { Case, Scenario } from './scenario.ts';
import { capacityOf, stepPlan } from './step.ts';

/** Capacity of all gateways over that of the model, with ρ = refusal / accepted in processor time. */
export const survivable = (rho: number, headroom: number): number => 1 + (headroom / 1.05 - 1) / rho;

/** Processor time of a request that is refused after its body was read and parsed, over an accepted one's. */
const READ = 0.5;
/** The guard of the processor has as long as admission to find its measure. */
const ONSET_MS = 500;

const withCpu = (load: number, rho: number, headroom: number): Case => ({
  name: `${load.toFixed(1)}×, ρ ${Math.round(100 * rho)} %, H ${headroom.toFixed(2)}`,
  run: (options) => {
    const perGateway = (capacityOf() * headroom) / defaultChain.gateways / 1_000; // accepted requests per ms
    const cpu = { acceptMs: 1 / perGateway, refuseMs: rho / perGateway, refuseReadMs: READ / perGateway };
    const plan = stepPlan({ load, chain: { cpu }, seconds: 10 }, options);
    const phases = plan.phases.flatMap((phase) => {
      if (phase.name !== 'overload') return [phase];
      const { fromMs, toMs } = phase;
      return [
        { name: 'onset', fromMs, toMs: fromMs + ONSET_MS },
        { name: 'overload', fromMs: fromMs + ONSET_MS, toMs },
      ];
    });
    const outcome = simulate({ ...plan, phases }, options);
    const { tally } = outcome;
    const { fromMs, toMs } = tally.phase('overload');
    const vip = tally.cell('overload', isVip).addAll(tally.cell('onset', isVip));
    const onset = tally.cell('onset');
    return {
      figures: [
        share('vip answered', vip.answered, vip.calls, { atLeast: 99.99 }),
        value('goodput', '%', goodput(outcome, fromMs, toMs)),
        value('survivable overload', '×', survivable(rho, headroom)),
        share('failures refused within 10 ms in the first 0.5 s', onset.refusedSoon, onset.failures),
        value(
          'refusal p99 after that',
          'ms',
          tally.cell('overload').refusalLatency.quantile(0.99),
          { atMost: 10 },
          { atMost: 3 },
        ),
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
