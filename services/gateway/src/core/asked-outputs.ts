import type { ModelRecord } from '@spillway/contracts/buckets';
import type { SpillwayError } from '@spillway/errors/spillway-error';
import { topClasses } from './classification.ts';
import { bad } from './invalid-request.ts';
import type { Answer, TensorValue } from './request.ts';

/** Which outputs a request wants, and of which only the best classes. The same behind HTTP and gRPC. */
export type OutputSelection = {
  /** None: all. */
  names: string[];
  /** How many classes of an output; undefined: no output is to be classified. */
  classes?: Map<string, number> | undefined;
  /** The first dimension of the outputs is the batch. */
  batches?: boolean | undefined;
  /** What the classes of an output are called, by its name. */
  labels?: Record<string, string[]> | undefined;
};

export const MAX_OUTPUTS = 64;

/** One more output. @throws SpillwayError `INVALID_REQUEST` for one too many, or one that was named before. */
export function addOutput(selection: OutputSelection, name: string): void {
  if (selection.names.length === MAX_OUTPUTS) throw bad(`outputs: expected at most ${MAX_OUTPUTS} entries`);
  if (selection.names.includes(name)) throw bad(`outputs: expected "${name}" once`);
  selection.names.push(name);
}

/** One output as `value:index[:label]` of its best `count` classes. @throws SpillwayError `INVALID_REQUEST` unless `count` ≥ 1. */
export function addClasses(selection: OutputSelection, name: string, count: number): void {
  if (count < 1) throw bad(`output "${name}": parameters.classification: expected an integer ≥ 1, got ${count}`);
  selection.classes ??= new Map();
  selection.classes.set(name, count);
}

const unknownOutput = (name: string, has: readonly { name: string }[]): SpillwayError =>
  bad(`outputs: the model has no output "${name}"; it has ${has.map((output) => output.name).join(', ')}`);

/**
 * Holds a selection against the model, before the model has run for it.
 * @param model Undefined: there is none, which is not said here.
 * @throws SpillwayError `INVALID_REQUEST` naming the output.
 */
export function checkSelection(selection: OutputSelection, model: ModelRecord | undefined): void {
  if (selection.names.length === 0 || model === undefined) return;
  selection.batches = model.maxBatchSize > 0;
  selection.labels = model.labels;
  for (const name of selection.names) {
    const spec = model.outputs.find((output) => output.name === name);
    if (spec === undefined) throw unknownOutput(name, model.outputs);
    if (selection.classes?.has(name) !== true) continue;
    if (spec.datatype === 'BYTES' || spec.datatype === 'BOOL' || spec.datatype === 'FP16' || spec.datatype === 'BF16') {
      throw bad(`output "${name}": parameters.classification: expected an output of numbers, it is ${spec.datatype}`);
    }
  }
}

/** The outputs that were asked for. @throws SpillwayError `INVALID_REQUEST` for one that the model has not. */
export function selectOutputs(answer: Answer, { names, classes, batches, labels }: OutputSelection): TensorValue[] {
  if (names.length === 0) return answer.outputs;
  return names.map((name) => {
    const output = answer.outputs.find((candidate) => candidate.name === name);
    if (output === undefined) throw unknownOutput(name, answer.outputs);
    const count = classes?.get(name);
    return count === undefined ? output : topClasses(output, count, batches === true, labels?.[name]);
  });
}
