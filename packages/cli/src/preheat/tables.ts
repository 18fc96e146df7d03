import { table } from '../table.ts';
import type { FeaturesResult } from './features.ts';
import type { ModelResult } from './model.ts';

const ms = (value: number | undefined): string =>
  value === undefined || Number.isNaN(value) ? '-' : `${value.toFixed(2)} ms`;

/** Before and after, by batch size; then what no answer came from. */
export function modelTable({ steps, workers, fault }: ModelResult, expected: readonly string[]): string[] {
  const lengths = new Set(steps.map(({ bytes }) => bytes)).size;
  const rows = steps.map(({ rows: size, bytes, runs, firstMs, steadyMs, steady }) => [
    String(size),
    ...(lengths > 1 ? [String(bytes)] : []),
    String(runs),
    ms(firstMs),
    ms(steadyMs),
    steady ? 'steady' : 'not yet',
  ]);
  const head = ['rows', ...(lengths > 1 ? ['bytes'] : []), 'runs', 'first run', 'last runs', ''];
  const missing = expected.filter((worker) => !workers.has(worker));
  return [
    ...table(head, rows),
    ...(missing.length > 0 && fault === undefined
      ? [`No answer came from ${missing.join(', ')}: others were free first.`]
      : []),
  ];
}

/** How long the first and the last fetch took at each instance, and what the values are. */
export function featuresTable({ entities, values, tookMs }: FeaturesResult): string[] {
  const rows = [...tookMs].map(([instance, took]) => [instance, String(took.length), ms(took[0]), ms(took.at(-1))]);
  const statuses = Object.entries(values).map(([status, count]) => `${count} ${status}`);
  return [
    ...table(['instance', 'fetches', 'first', 'last'], rows),
    `${entities} entities; values: ${statuses.join(', ') || 'none'}`,
  ];
}
