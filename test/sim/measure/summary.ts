import { type Bound, type Figure, within } from './figures.ts';

/** One figure over all seeds. */
export type Summary = {
  name: string;
  unit: Figure['unit'];
  /** A pooled share, or the median of the seeds. */
  value: number;
  worst: number;
  n?: number;
  must?: Bound;
  aim?: Bound;
  verdict: 'aim' | 'must' | 'fails' | 'told';
  /** Seeds in which the must does not hold; of a pooled share, the pool decides. */
  failing: number;
  seeds: number;
};

/** Shares are pooled; of values the worst seed decides. */
export function summarize(runs: readonly (readonly Figure[])[]): Summary[] {
  const names = runs[0]?.map(({ name }) => name) ?? [];
  return names.map((name) => one(runs.map((figures) => figures.find((figure) => figure.name === name) as Figure)));
}

function one(figures: readonly Figure[]): Summary {
  const [first] = figures as [Figure];
  const { name, unit, must, aim } = first;
  const sorted = figures.map(({ value }) => value).sort((a, b) => a - b);
  const upwards = (must ?? aim)?.atLeast === undefined; // what grows is worse
  const worst = (upwards ? sorted.at(-1) : sorted[0]) as number;
  const pooled = first.n !== undefined;
  const n = figures.reduce((sum, figure) => sum + (figure.n ?? 0), 0);
  const hits = figures.reduce((sum, figure) => sum + (figure.hits ?? 0), 0);
  const value = pooled ? (100 * hits) / n : (sorted[sorted.length >> 1] as number);
  const judged = pooled ? value : worst;
  const empty = pooled && n === 0; // nothing happened that could be judged
  const verdict = (): Summary['verdict'] => {
    if (must === undefined) return 'told';
    if (empty) return 'aim';
    if (aim === undefined ? within(judged, must) : within(judged, aim)) return 'aim';
    return within(judged, must) ? 'must' : 'fails';
  };
  return {
    name,
    unit,
    value,
    worst,
    ...(pooled && { n }),
    ...(must && { must }),
    ...(aim && { aim }),
    verdict: verdict(),
    failing: must === undefined || empty ? 0 : figures.filter((figure) => !within(figure.value, must)).length,
    seeds: figures.length,
  };
}
