import type { ModelRecord } from '@spillway/contracts/buckets';
import { HEADERS } from '@spillway/contracts/headers';
import { type Answer, type Door, errorText, type InferBody, type ModelMetadata, type TensorSpec } from '../door.ts';
import type { PoliteCaller } from './polite.ts';
import type { Progress, Time } from './time.ts';

/** One size of batch that is run until it is steady. `bytes`: length of each text. */
export type Step = { rows: number; bytes: number };
/** `firstMs` and `steadyMs` are NaN when no answer came from a batch of this request alone. */
export type StepResult = Step & { runs: number; firstMs: number; steadyMs: number; steady: boolean };
/** `fault`: what the door answered when it ended early. */
export type ModelResult = { steps: StepResult[]; workers: Set<string>; fault: string | undefined };

const WINDOW = 5;
const STEADY_WITHIN = 0.1;
const DEFAULT_BYTES = 5;
/** Neither read nor written: what is to become warm is the model. */
const HEADERS_OF_RUN = { [HEADERS.trafficClass]: 'bulk', 'cache-control': 'no-cache, no-store' };

/** Rows 1, 2, 4 … up to `most`, for each length bucket of the model: what its kernels and its arenas are sized by. */
export function stepsOf(model: Pick<ModelRecord, 'maxBatchSize' | 'lengthBuckets' | 'costRule'>, most: number): Step[] {
  const rows: number[] = [];
  for (let size = 1; size < most; size *= 2) rows.push(size);
  rows.push(most);
  const lengths = model.costRule === 'bytes/4' ? (model.lengthBuckets ?? []).map((cost) => 4 * cost) : [];
  return (lengths.length > 0 ? lengths : [DEFAULT_BYTES]).flatMap((bytes) =>
    rows.map((size) => ({ rows: size, bytes })),
  );
}

/** Zeros, or texts of that many letters, for every input. A variable dimension other than the batch is 1. */
export function zeroBody({ inputs }: ModelMetadata, batches: boolean, step: Step): InferBody {
  const tensor = ({ name, datatype, shape }: TensorSpec) => {
    const fixed = shape.map((dimension, axis) => (batches && axis === 0 ? step.rows : Math.max(dimension, 1)));
    const count = fixed.reduce((product, dimension) => product * dimension, 1);
    const value = datatype === 'BYTES' ? 'a'.repeat(step.bytes) : datatype === 'BOOL' ? false : 0;
    return { name, datatype, shape: fixed, data: new Array(count).fill(value) };
  };
  return { inputs: inputs.map(tensor) };
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** The last five runs take as long as the five before them, within a tenth. */
export function isSteady(runMs: readonly number[]): boolean {
  if (runMs.length < 2 * WINDOW) return false;
  const last = median(runMs.slice(-WINDOW));
  const before = median(runMs.slice(-2 * WINDOW, -WINDOW));
  return Math.abs(last - before) <= STEADY_WITHIN * before;
}

type Run = {
  door: Door;
  model: ModelMetadata;
  batches: boolean;
  /** Requests under way at once: one for each worker, so that each gets its share. */
  connections: number;
  caller: PoliteCaller;
  progress: Progress;
  time: Time;
};

/** Runs each step until it is steady, at most for an even part of the time that is left until `endMs`. */
export async function preheatModel(run: Run, steps: readonly Step[], endMs: number): Promise<ModelResult> {
  const result: ModelResult = { steps: [], workers: new Set(), fault: undefined };
  for (const [index, step] of steps.entries()) {
    const nowMs = run.time.now();
    const untilMs = nowMs + (endMs - nowMs) / (steps.length - index);
    result.steps.push(await runStep(run, step, untilMs, result));
    if (result.fault !== undefined) return result;
  }
  return result;
}

async function runStep(run: Run, step: Step, untilMs: number, result: ModelResult): Promise<StepResult> {
  const { door, model, batches, caller, progress, time } = run;
  const body = zeroBody(model, batches, step);
  const runMs: number[] = [];
  let runs = 0;
  const worker = async () => {
    while (time.now() < untilMs && !isSteady(runMs) && result.fault === undefined) {
      const answer = await caller.call(() => door.infer(model.name, body, HEADERS_OF_RUN));
      if (answer.status !== 200) {
        result.fault ??= errorText(answer);
        return;
      }
      runs += 1;
      note(answer, step, runMs, result.workers);
      progress.at(() => `${step.rows} rows: ${runs} runs, the last took ${runMs.at(-1)?.toFixed(2) ?? '?'} ms`);
    }
  };
  await Promise.all(Array.from({ length: run.connections }, worker));
  const [firstMs = Number.NaN] = runMs;
  return { ...step, runs, firstMs, steadyMs: median(runMs.slice(-WINDOW)), steady: isSteady(runMs) };
}

/** A batch with rows of other callers says nothing of this size. */
function note({ headers }: Answer, { rows }: Step, runMs: number[], workers: Set<string>): void {
  const worker = headers[HEADERS.worker];
  if (worker) workers.add(worker);
  if (Number(headers[HEADERS.batchSize]) === rows) runMs.push(Number(headers[HEADERS.runMs]));
}
