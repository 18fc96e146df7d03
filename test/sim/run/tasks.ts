import { BASELINES, type Baseline } from '../baselines/server.ts';
import { MECHANISMS, type Mechanism } from '../chain/spec.ts';
import type { Figure } from '../measure/figures.ts';
import { SCENARIOS } from '../scenarios/all.ts';

/** One run of one case with one seed, as it is handed to a thread. */
export type Task = {
  scenario: string;
  case: string;
  seed: number;
  baseline: Baseline | '';
  off: readonly Mechanism[];
  seconds: number | undefined;
  traces: readonly string[];
};

export type Done = { task: Task; figures: Figure[]; events: number; wallMs: number };

/** What serves: the product, the product without something, or a baseline. */
export type Contender = { baseline: Baseline | ''; off: readonly Mechanism[] };

export const PRODUCT: Contender = { baseline: '', off: [] };

export const nameOf = ({ baseline, off }: Contender): string =>
  baseline !== '' ? baseline : off.length === 0 ? 'spillway' : `without ${off.join(', ')}`;

export function runTask(task: Task): Done {
  const found = SCENARIOS.find(({ id }) => id === task.scenario)?.cases.find(({ name }) => name === task.case);
  if (found === undefined) throw new Error(`bug: no case ${task.case} in ${task.scenario}`);
  const startedMs = performance.now();
  const { figures, events } = found.run({
    seed: task.seed,
    off: new Set(task.off),
    traces: task.traces,
    ...(task.baseline === '' ? {} : { baseline: task.baseline }),
    ...(task.seconds === undefined ? {} : { seconds: task.seconds }),
  });
  return { task, figures, events, wallMs: performance.now() - startedMs };
}

/** @throws Error naming what was expected. */
export function readBaselines(text: string): Baseline[] {
  const names = Object.keys(BASELINES) as Baseline[];
  if (text === 'all') return names;
  return text.split(',').map((name) => {
    const found = names.find((known) => known === name);
    if (found === undefined) throw new Error(`--baseline: expected ${names.join(', ')} or all, got "${name}"`);
    return found;
  });
}

/** @throws Error naming what was expected. */
export function readMechanisms(text: string): Mechanism[] {
  return text.split(',').map((name) => {
    const found = MECHANISMS.find((known) => known === name);
    if (found === undefined) throw new Error(`--without: expected ${MECHANISMS.join(', ')} or each, got "${name}"`);
    return found;
  });
}
