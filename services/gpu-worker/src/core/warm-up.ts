import { DATA_TYPES, elementCount, type NumericType, numericView } from '@spillway/contracts/tensor';
import type { Clock } from '@spillway/lifecycle/clock';
import { ngramTensor } from './assemble.ts';
import type { Backend, RunTensor } from './backend.ts';
import type { Warmed } from './executor-messages.ts';
import { batchBuckets, type WarmUp } from './model-declaration.ts';
import type { ServedGraph } from './served-graph.ts';

const WARM_TEXT = 'as many words as a usual question has, so that the times mean something';

/** True if every shape is known, so that a run that fails is the model's fault and not the guess's. */
export const hasFixedShapes = (graph: ServedGraph): boolean => graph.feeds.every((feed) => !feed.dims.includes(-1));

/** Inputs of a run of `rows` rows: zeros, or what `model_warmup` says. A free dimension is 1 unless it says otherwise. */
export function warmUpInputs(graph: ServedGraph, rows: number, declared?: WarmUp): RunTensor[] {
  return graph.feeds.map((feed, index) => {
    const { preprocess } = graph;
    if (preprocess !== undefined && feed.name === preprocess.output) {
      return ngramTensor(feed, new Array<Uint8Array>(rows).fill(Buffer.from(WARM_TEXT)), preprocess.spec);
    }
    const given = declared?.inputs[feed.name];
    const dims = given?.dims ?? (graph.requestInputs[index] ?? feed).dims;
    const fixed = dims.map((dim) => (dim === -1 ? 1 : dim));
    const shape = graph.maxBatchSize > 0 ? [rows, ...fixed] : fixed;
    const data =
      feed.datatype === 'BYTES' ? new Array<string>(elementCount(shape)).fill('') : zeros(feed.datatype, shape);
    if (given?.fill === 'random' && !Array.isArray(data))
      for (let i = 0; i < data.length; i += 1) data[i] = mixed(data, i);
    return { name: feed.name, datatype: feed.datatype, shape, data };
  });
}

const zeros = (datatype: NumericType, shape: number[]) =>
  numericView(datatype, new Uint8Array(elementCount(shape) * DATA_TYPES[datatype].bytes));

/** Varied small values, the same at every start. */
const mixed = (data: Exclude<RunTensor['data'], string[]>, i: number): never => {
  const value = (i * 7) % 5;
  return (data instanceof BigInt64Array || data instanceof BigUint64Array ? BigInt(value) : value) as never;
};

/** Runs that are timed of one bucket, at most, and how long they may take together: slow models are timed once. */
const MOST_TIMED = 5;
const TIMED_MS = 30;

/**
 * Runs every batch bucket at least twice: what a runtime plans or compiles at a first shape is then done, and the fastest of the
 * others tells what a batch costs: whatever else a starting machine does only makes a run longer. Largest first, so that buffers
 * are allocated once.
 * @throws What the backend throws.
 */
export async function warmUp(
  graph: ServedGraph,
  backend: Backend,
  warmUps: readonly WarmUp[],
  clock: Clock,
): Promise<Warmed[]> {
  const warmed: Warmed[] = [];
  for (const rows of batchBuckets(graph.maxBatchSize).reverse()) {
    const inputs = warmUpInputs(graph, rows);
    await backend.run(inputs);
    warmed.unshift({ rows, runMs: await fastestOf(() => backend.run(inputs), clock) });
  }
  for (const declared of warmUps) await backend.run(warmUpInputs(graph, declared.rows, declared));
  return warmed;
}

async function fastestOf(run: () => Promise<unknown>, clock: Clock): Promise<number> {
  let fastest = Number.POSITIVE_INFINITY;
  const beginMs = clock.now();
  for (let runs = 0; runs < MOST_TIMED; runs += 1) {
    const startedMs = clock.now();
    if (startedMs - beginMs > TIMED_MS) break;
    await run();
    fastest = Math.min(fastest, clock.now() - startedMs);
  }
  return fastest;
}
