import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPO } from '@spillway/testing/find-binary';

export type CaseTensor = { datatype: string; shape: number[]; data: (number | string | boolean)[] };
export type ModelCase = { inputs: Record<string, CaseTensor>; outputs: Record<string, CaseTensor> };
export type OipTensor = CaseTensor & { name: string };

const MODELS_DIR = join(REPO, 'models');
const TOLERANCE = 1e-5;

/** Models that come with answers of plain ONNX Runtime. */
export const MODELS_WITH_CASES = readdirSync(MODELS_DIR).filter((name) => {
  try {
    return readFileSync(join(MODELS_DIR, name, 'expected.json')).length > 0;
  } catch {
    return false;
  }
});

/** The committed inputs of a model and what plain ONNX Runtime answers to them. */
export const casesOf = (model: string): ModelCase[] =>
  (JSON.parse(readFileSync(join(MODELS_DIR, model, 'expected.json'), 'utf8')) as { cases: ModelCase[] }).cases;

/** A case as the body of an Open Inference Protocol request. */
export const oipRequest = ({ inputs }: ModelCase): { inputs: OipTensor[] } => ({
  inputs: Object.entries(inputs).map(([name, tensor]) => ({ name, ...tensor })),
});

const same = (got: unknown, wanted: number | string | boolean): boolean =>
  typeof wanted === 'number'
    ? typeof got === 'number' && Math.abs(got - wanted) <= TOLERANCE * Math.max(1, Math.abs(wanted))
    : got === wanted;

/** What is wrong with an answer's outputs; undefined: nothing. Floats may differ by 1e-5, relative above 1. */
export function differenceOf(wanted: ModelCase, outputs: readonly OipTensor[] | undefined): string | undefined {
  for (const [name, expected] of Object.entries(wanted.outputs)) {
    const output = outputs?.find((o) => o.name === name);
    if (output === undefined) return `output "${name}" is missing`;
    if (output.datatype !== expected.datatype) return `output "${name}" is ${output.datatype}`;
    if (String(output.shape) !== String(expected.shape)) return `output "${name}" has shape [${output.shape}]`;
    const at = expected.data.findIndex((value, index) => !same(output.data[index], value));
    if (at !== -1) return `output "${name}"[${at}]: expected ${expected.data[at]}, got ${output.data[at]}`;
  }
  return undefined;
}
