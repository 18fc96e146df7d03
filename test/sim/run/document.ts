import type { Mechanism } from '../chain/spec.ts';
import { comparison, type Row, scenarioTables, shown, table } from './report.ts';

/** Mechanisms that do the same work in a plain overload: one of them is enough, none is not. */
export const TOGETHER: readonly (readonly Mechanism[])[] = [
  ['g3', 'g4'],
  ['g3', 'g4', 'bound'],
  ['g3', 'g4', 'bound', 'expired'],
];

type Telling = { off: Mechanism; scenario: string; name: string; figures: readonly string[] };

/** Where a mechanism shows what it is for. */
export const TELLING: readonly Telling[] = [
  { off: 'g1', scenario: 'O12', name: '5.0×, ρ 20 %, H 1.89', figures: ['goodput', 'vip answered'] },
  { off: 'g2', scenario: 'O8', name: '100 times the quota', figures: ['others answered'] },
  { off: 'g3', scenario: 'O8', name: '50 shares, 3×', figures: ['others answered'] },
  { off: 'g3', scenario: 'O10', name: '80 and 400 ms', figures: ['success at 400 ms over 80 ms', 'success at 80 ms'] },
  { off: 'age', scenario: 'O5', name: '250 ms', figures: ['goodput', 'admitted and answered in time'] },
  { off: 'expired', scenario: 'O5', name: '1,000 ms', figures: ['goodput', 'rows run for nobody'] },
  { off: 'staging', scenario: 'O9', name: '0.95×', figures: ['vip p99'] },
  { off: 'floor', scenario: 'O9', name: '5×', figures: ['bulk goodput'] },
  { off: 'gamma', scenario: 'O7', name: 'capacity × 0.5', figures: ['goodput'] },
  { off: 'brownout', scenario: 'O14', name: '3×', figures: ['goodput, in full answers'] },
];

const isWithout = ({ contender }: Row): boolean => contender.startsWith('without');

function tellingTable(rows: readonly Row[]): string {
  const of = (scenario: string, name: string, contender: string, figure: string): string => {
    const row = rows.find((r) => r.scenario === scenario && r.case === name && r.contender === contender);
    const found = row?.figures.find((one) => one.name === figure);
    return found === undefined ? '' : shown({ value: found.value, unit: found.unit });
  };
  const lines = TELLING.flatMap(({ off, scenario, name, figures }) =>
    figures.map((figure) => [
      off,
      `${scenario}: ${name}`,
      figure,
      of(scenario, name, 'spillway', figure),
      of(scenario, name, `without ${off}`, figure),
    ]),
  );
  return table(['mechanism', 'scenario', 'figure', 'with', 'without'], lines);
}

/** The cases of O1 that other rules are compared at. */
export const STEPS: readonly string[] = ['2×', '5×', '10×'];

/** The page `docs/overload-simulation.md`. */
export function document(rows: readonly Row[], compared: readonly string[], seeds: number): string {
  const product = rows.filter(({ contender }) => contender === 'spillway');
  const o1 = product.filter(({ scenario, case: name }) => scenario === 'O1' && STEPS.includes(name));
  const baselines = rows.filter((row) => row.contender !== 'spillway' && !isWithout(row));
  const without = rows.filter((row) => row.scenario === 'O1' && isWithout(row));
  const at5 = [...o1.filter(({ case: name }) => name === '5×'), ...without];
  return `# Overload in simulation

Written by \`node test/sim/sim.ts --document --seeds ${seeds}\`. The simulator (\`test/sim\`) runs in virtual time and imports the files
that decide in the services: the gateway's admission and the batcher's dispatcher. What they meet is a model: open-loop
clients, a network with 0.3 ms a hop, bounded streams, instances whose batch of b rows takes 4 + 0.5·b ms ± 5 % (batches of at most
32, so 6,400 rows/s from four instances), deadlines of 200 ms, three gateways, two batchers, unless a scenario says otherwise. It
shows what the rules are worth; what a machine makes of them is in [benchmarks](benchmarks.md).

Shares are pooled over the seeds and stand with their n (none in n shows a rate below 3/n at 95 %); of other figures the median of
the seeds is shown and the worst seed is judged. Goodput is counted in % of the capacity of all instances. Where gateways are misled
by construction (O5, O7) the share of admitted requests that were answered is told, not judged.

## Compared with other rules

O1 with one seed. The baselines put one queue before the same instances and the same clients, but their clients try four times at
once, as clients without a retry budget do; their overload lasts 8 s, for their queues grow without bound.

${comparison([...o1, ...baselines], compared)}

## What each mechanism is worth

O1 at 5× with something switched off (\`--without\`). In a plain overload the fair rate, the predicted finish and the bound of the
queue stand in for each other.

${comparison(at5, compared)}

Each where it is needed:

${tellingTable(rows)}

## Scenarios

${scenarioTables(product)}
`;
}
