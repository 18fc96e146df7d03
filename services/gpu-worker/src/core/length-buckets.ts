import type { NumericArray } from '@spillway/contracts/tensor';
import type { Backend, RunTensor } from './backend.ts';
import type { Warmed } from './executor-messages.ts';
import { type HashedNgramsSpec, widthStep } from './hashed-ngrams.ts';
import type { ServedGraph } from './served-graph.ts';
import { warmUpInputs } from './warm-up.ts';

/**
 * A batch of texts is as wide as its longest, and what the short ones are padded with is computed like the rest. Rows of one batch are
 * therefore run by length where that is cheaper: sorted by width and cut where the model's own run times say that another run costs
 * less than the padding it saves.
 */

/** What a run costs, from the runs of the warm-up: `runMs` and, for each row and each step of its width, `stepMs`. */
export type RunCost = { runMs: number; stepMs: number; mostRows: number };

/** A size whose rows cost this much more than the cheapest ones' is as good: fewer runs. */
const AS_GOOD = 1.05;

/**
 * @param warmed Run times by rows, all of one width.
 * @param steps That width in steps.
 * @returns Nothing where too little was timed.
 */
export function runCost(warmed: readonly Warmed[], steps: number): RunCost | undefined {
  const one = warmed.find(({ rows }) => rows === 1);
  const perRow = ({ rows, runMs }: Warmed): number => runMs / rows;
  const least = Math.min(...warmed.map(perRow));
  const best = warmed.findLast((each) => perRow(each) <= least * AS_GOOD);
  if (one === undefined || best === undefined || best.rows === 1) return undefined;
  const rowMs = Math.max(0, (best.runMs - one.runMs) / (best.rows - 1));
  return { runMs: Math.max(0, one.runMs - rowMs), stepMs: rowMs / steps, mostRows: best.rows };
}

/**
 * Cuts rows, sorted by width, into the runs that cost least together. O(rows × most rows of a run).
 * @param steps Width of each row in steps, ascending.
 * @returns Where each run ends.
 */
export function cheapestCuts(steps: readonly number[], { runMs, stepMs, mostRows }: RunCost): number[] {
  const costs = [0];
  const from = [0];
  for (let end = 1; end <= steps.length; end += 1) {
    const width = steps[end - 1] as number;
    let least = Number.POSITIVE_INFINITY;
    for (let start = end - 1; start >= Math.max(0, end - mostRows); start -= 1) {
      const cost = (costs[start] as number) + runMs + stepMs * width * (end - start);
      if (cost > least) continue; // of equal cuts, the one of fewer runs
      least = cost;
      from[end] = start;
    }
    costs[end] = least;
  }
  const cuts: number[] = [];
  for (let end = steps.length; end > 0; end = from[end] as number) cuts.unshift(end);
  return cuts;
}

/** The backend of a graph that reads ids of texts, its rows run by length; any other backend as it is. */
export function byLength(graph: ServedGraph, backend: Backend, warmed: readonly Warmed[]): Backend {
  const [ids] = graph.feeds;
  const spec = graph.preprocess?.spec;
  const width = ids?.dims.at(spec?.maxWords === undefined ? -1 : -2);
  // What a run returns must not depend on its width, or the rows of two runs would not fit together.
  const isRowwise = graph.feeds.length === 1 && graph.fetches.every(({ dims }) => !dims.includes(-1));
  if (spec === undefined || width !== -1 || spec.padTo === 'max_ids' || !isRowwise || graph.maxBatchSize < 2) {
    return backend;
  }
  const [timed] = warmUpInputs(graph, 1) as [RunTensor];
  const [steps] = stepsOfRows(timed.data as Int32Array, 1, widthStep(spec)) as [number];
  const cost = runCost(warmed, steps);
  return cost === undefined ? backend : new LengthBuckets(backend, spec, cost);
}

class LengthBuckets implements Backend {
  readonly provider: string;
  readonly #backend: Backend;
  readonly #step: number;
  readonly #cost: RunCost;

  constructor(backend: Backend, spec: HashedNgramsSpec, cost: RunCost) {
    this.provider = backend.provider;
    this.#backend = backend;
    this.#step = widthStep(spec);
    this.#cost = cost;
  }

  async run(inputs: readonly RunTensor[]): Promise<RunTensor[]> {
    const ids = inputs[0] as RunTensor;
    const rows = ids.shape[0] as number;
    const steps = stepsOfRows(ids.data as Int32Array, rows, this.#step);
    const order = Array.from({ length: rows }, (_, row) => row).sort(
      (a, b) => (steps[a] as number) - (steps[b] as number),
    );
    const cuts = cheapestCuts(
      order.map((row) => steps[row] as number),
      this.#cost,
    );
    if (cuts.length === 1) return this.#backend.run(inputs);
    const outputs: RunTensor[] = [];
    let from = 0;
    for (const end of cuts) {
      const part = order.slice(from, end);
      const width = Math.min(ids.data.length / rows, (steps[part.at(-1) as number] as number) * this.#step);
      const answered = await this.#backend.run([takeRows(ids, part, width)]);
      for (const [index, output] of answered.entries()) {
        outputs[index] ??= emptyLike(output, rows);
        putRows(outputs[index], output, part);
      }
      from = end;
    }
    return outputs;
  }
}

/** Width of each row in steps, at least one: behind the last id that is not 0 all is padding. */
function stepsOfRows(ids: Int32Array, rows: number, step: number): number[] {
  const width = ids.length / rows;
  return Array.from({ length: rows }, (_, row) => {
    let used = width;
    while (used > 1 && ids[row * width + used - 1] === 0) used -= 1;
    return Math.ceil(used / step);
  });
}

/** Some rows of ids, as wide as they need. */
function takeRows(ids: RunTensor, rows: readonly number[], width: number): RunTensor {
  const all = ids.data as Int32Array;
  const full = all.length / (ids.shape[0] as number);
  const data = new Int32Array(rows.length * width);
  rows.forEach((row, at) => {
    data.set(all.subarray(row * full, row * full + width), at * width);
  });
  const inner = ids.shape.slice(2); // ids of a word, where words have their own
  const perUnit = inner.reduce((product, dim) => product * dim, 1);
  return { ...ids, shape: [rows.length, width / perUnit, ...inner], data };
}

function emptyLike(part: RunTensor, rows: number): RunTensor {
  const [partRows = 1, ...dims] = part.shape;
  const length = (part.data.length / partRows) * rows;
  const data = Array.isArray(part.data)
    ? new Array<string>(length).fill('')
    : new (part.data.constructor as new (length: number) => NumericArray)(length);
  return { ...part, shape: [rows, ...dims], data };
}

/** Puts the rows of a part where they belong. */
function putRows(whole: RunTensor, part: RunTensor, rows: readonly number[]): void {
  const perRow = part.data.length / rows.length;
  rows.forEach((row, at) => {
    for (let i = 0; i < perRow; i += 1) whole.data[row * perRow + i] = part.data[at * perRow + i] as never;
  });
}
