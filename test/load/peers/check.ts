import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPO } from '@spillway/testing/find-binary';
import { makeInputs, oipBody } from '../client/inputs.ts';
import { TOLERANCE } from '../client/tally.ts';
import type { ModelName } from './catalogue.ts';

type Tensor = { name: string; datatype: string; shape: number[]; data: (number | string)[] };
type Outputs = Record<string, Omit<Tensor, 'name'>>;
/** A request's body and the outputs that plain ONNX Runtime gave to it. */
export type Case = { body: string; outputs: Outputs };

const MLP_REQUESTS = 100;
const AT_ONCE = 16; // so that the peers that batch do

const folder = (model: ModelName): string => join(REPO, 'models', model);
type Expected = { cases: { inputs: Outputs; outputs: Outputs }[] };

const bodyOf = (inputs: Outputs): string =>
  JSON.stringify({ inputs: Object.entries(inputs).map(([name, tensor]) => ({ name, ...tensor })) });

const expectedOf = (model: ModelName): Expected =>
  JSON.parse(readFileSync(join(folder(model), 'expected.json'), 'utf8')) as Expected;

/** A request that a ready peer answers with 200. */
export const probeBody = (model: ModelName): string => bodyOf(expectedOf(model).cases[0]?.inputs ?? {});

/** Distinct requests: those of expected.json (up to 64 rows each), and for mlp 100 drawn ones of one row. */
export async function casesOf(model: ModelName): Promise<Case[]> {
  const known = expectedOf(model).cases.map(({ inputs, outputs }) => ({ body: bodyOf(inputs), outputs }));
  if (model !== 'mlp') return known;
  const inputs = await makeInputs(MLP_REQUESTS, join(folder(model), '1', 'model.onnx'));
  const drawn = Array.from({ length: inputs.count }, (_, index) => ({
    body: oipBody(inputs, index),
    outputs: { y: { datatype: 'FP32', shape: [1, 1], data: [inputs.expected[index] as number] } },
  }));
  return [...known, ...drawn];
}

const near = (got: unknown, wanted: number | string): boolean =>
  typeof wanted === 'string' ? got === wanted : typeof got === 'number' && Math.abs(got - wanted) <= TOLERANCE;

/** What is wrong with an answer; undefined: nothing. */
export function differs(answer: unknown, model: ModelName, wanted: Outputs): string | undefined {
  const { model_name: name, outputs } = answer as { model_name?: string; outputs?: Tensor[] };
  if (name !== model) return `model_name: expected "${model}", got ${JSON.stringify(name)}`;
  for (const [output, { datatype, shape, data }] of Object.entries(wanted)) {
    const got = outputs?.find((tensor) => tensor.name === output);
    if (got === undefined) return `output "${output}" is missing`;
    if (got.datatype !== datatype || got.shape.join() !== shape.join()) {
      return `${output}: expected ${datatype} [${shape}], got ${got.datatype} [${got.shape}]`;
    }
    const at = data.findIndex((value, index) => !near(got.data[index], value));
    if (at !== -1) return `${output}[${at}]: expected ${data[at]}, got ${got.data[at]}`;
    if (got.data.length !== data.length) return `${output}: expected ${data.length} numbers, got ${got.data.length}`;
  }
  return undefined;
}

/** Sends every case once, 16 at a time, and compares. @returns What was wrong, one text a wrong answer. */
export async function checkPeer(url: string, model: ModelName): Promise<{ requests: number; wrong: string[] }> {
  const cases = await casesOf(model);
  const wrong: string[] = [];
  const ask = async ({ body, outputs }: Case): Promise<void> => {
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    const text = await response.text();
    const what = response.status === 200 ? differs(JSON.parse(text), model, outputs) : `${response.status} ${text}`;
    if (what !== undefined) wrong.push(what.slice(0, 200));
  };
  const waiting = [...cases];
  const connection = async (): Promise<void> => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) await ask(next);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, connection));
  return { requests: cases.length, wrong };
}
