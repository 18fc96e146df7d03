import type { Figure } from '../measure/figures.ts';
import type { RunOptions } from '../run/simulate.ts';

/** One set of conditions; its figures are those of one seed. `events`: how many the simulator handled. */
export type Case = {
  name: string;
  /** It is left out unless so many trace files are named (index, from 0). */
  needsTrace?: number;
  run: (options: RunOptions) => { figures: Figure[]; events: number };
};

export type Scenario = {
  id: string;
  title: string;
  cases: readonly Case[];
  /** Parts of the product that have no counterpart in the compared servers are not asked of them. */
  baselines: boolean;
};
