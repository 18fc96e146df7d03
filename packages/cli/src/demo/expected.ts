import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { InferBody, JsonTensor } from '../door.ts';

type Tensor = { datatype: string; shape: number[]; data: unknown[] };
/** One request and what plain ONNX Runtime answers to it, from `models/<name>/expected.json`. */
export type ExpectedCase = { inputs: Record<string, Tensor>; outputs: Record<string, Tensor> };

/** Largest difference of a floating-point value, relative beyond 1. */
export const TOLERANCE = 1e-5;

export function readCases(models: string, model: string): ExpectedCase[] {
  const path = join(models, model, 'expected.json');
  if (!existsSync(path)) return [];
  return (JSON.parse(readFileSync(path, 'utf8')) as { cases: ExpectedCase[] }).cases;
}

export const bodyOf = ({ inputs }: ExpectedCase): InferBody => ({
  inputs: Object.entries(inputs).map(([name, tensor]) => ({ name, ...tensor })),
});

export type Comparison = { wrong: string | undefined; largestDifference: number };

/** Compares an answer with what was expected: shapes, types and texts exactly, floating-point values within `TOLERANCE`. */
export function compare(expected: ExpectedCase, outputs: JsonTensor[]): Comparison {
  let largestDifference = 0;
  for (const [name, want] of Object.entries(expected.outputs)) {
    const got = outputs.find((output) => output.name === name);
    if (!got) return { wrong: `output "${name}" is missing`, largestDifference };
    if (got.datatype !== want.datatype || got.shape.join() !== want.shape.join()) {
      const shown = (tensor: Tensor) => `${tensor.datatype} [${tensor.shape.join(', ')}]`;
      return { wrong: `${name}: expected ${shown(want)}, got ${shown(got)}`, largestDifference };
    }
    const data = got.data.flat(Number.POSITIVE_INFINITY);
    for (const [i, wanted] of want.data.flat(Number.POSITIVE_INFINITY).entries()) {
      const difference = differenceOf(want.datatype, wanted, data[i]);
      if (!(difference <= TOLERANCE)) {
        return { wrong: `${name}[${i}]: expected ${String(wanted)}, got ${String(data[i])}`, largestDifference };
      }
      largestDifference = Math.max(largestDifference, difference);
    }
  }
  return { wrong: undefined, largestDifference };
}

const differenceOf = (datatype: string, wanted: unknown, got: unknown): number => {
  if (!/^(FP|BF)\d+$/.test(datatype)) return String(wanted) === String(got) ? 0 : Number.POSITIVE_INFINITY;
  return Math.abs(Number(got) - Number(wanted)) / Math.max(1, Math.abs(Number(wanted)));
};
