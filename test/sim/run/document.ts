import { comparison, type Row, scenarioTables } from './report.ts';

/** The page `docs/overload-simulation.md`. */
export function document(rows: readonly Row[], compared: readonly string[], seeds: number): string {
  const product = rows.filter(({ contender }) => contender === 'spillway');
  const o1 = product.filter(({ scenario }) => scenario === 'O1');
  const isWithout = ({ contender }: Row): boolean => contender.startsWith('without');
  const baselines = rows.filter((row) => row.contender !== 'spillway' && !isWithout(row));
  const at5 = [...o1.filter(({ case: name }) => name === '5×'), ...rows.filter(isWithout)];
  return `# Overload in simulation

Written by \`node test/sim/sim.ts --document --seeds ${seeds}\`. The simulator (\`test/sim\`) runs in virtual time and imports the files
that decide in the services: the gateway's admission and the batcher's dispatcher. What they meet is a model: open-loop
clients, a network with 0.3 ms a hop, bounded streams, instances whose batch of b rows takes 4 + 0.5·b ms ± 5 % (batches of at most
32, so 6,400 rows/s from four instances), deadlines of 200 ms, three gateways, two batchers, unless a scenario says otherwise. It
shows what the rules are worth; what a machine makes of them is in [benchmarks](benchmarks.md).

Shares are pooled over the seeds and stand with their n (none in n shows a rate below 3/n at 95 %); of other figures the median of
the seeds is shown and the worst seed is judged. Goodput is counted in % of the capacity of all instances.

## Compared with other rules

O1 with one seed. The baselines put one queue before the same instances and the same clients, but their clients try four times at
once, as clients without a retry budget do; their overload lasts 8 s, for their queues grow without bound.

${comparison([...o1, ...baselines], compared)}

## What each mechanism is worth

O1 at 5× with one of them switched off (\`--without\`).

${comparison(at5, compared)}

## Scenarios

${scenarioTables(product)}
`;
}
