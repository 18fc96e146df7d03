import { type GroupReport, type LoadReport, type PhaseReport, QUANTILES } from './report.ts';

/** @throws Error when the report has no such phase. */
export function phaseOf({ phases }: Pick<LoadReport, 'phases'>, label: string): PhaseReport {
  const phase = phases.find((one) => one.label === label);
  if (phase === undefined) throw new Error(`the report has no phase ${label}`);
  return phase;
}

/** @throws Error when the phase has no such group. */
export function groupOf(phase: PhaseReport, name: string): GroupReport {
  const group = phase.groups[name];
  if (group === undefined) throw new Error(`phase ${phase.label} has no group ${name}`);
  return group;
}

/** Milliseconds at a quantile, null without samples. */
export const at = (latency: GroupReport['latency'], quantile: (typeof QUANTILES)[number]): number | null =>
  latency.quantiles[QUANTILES.indexOf(quantile)] ?? null;

/** Answers in time per second, of full quality and by lighter variants. */
export const answersPerSecond = ({ all, fromMs, toMs }: PhaseReport): number =>
  ((all.good + all.degraded) * 1_000) / (toMs - fromMs);
