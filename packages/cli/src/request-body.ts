import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { CliError, type Context, usageError } from './context.ts';
import type { InferBody, ModelMetadata } from './door.ts';
import { bodyFromData, bodyFromTexts, InputError } from './infer-input.ts';

/** Options that say what a request's inputs are. */
export const INPUT_OPTIONS = {
  data: { type: 'string' },
  text: { type: 'string', multiple: true },
  file: { type: 'string' },
} as const;

export type Given = { data?: string | undefined; text?: string[] | undefined; file?: string | undefined };

/** @throws CliError (exit code 2) unless exactly one of them is there. */
export function checkGiven(command: string, { data, text, file }: Given, help: string): void {
  const given = [data, text, file].filter((value) => value !== undefined);
  if (given.length !== 1) throw usageError(`${command}: expected one of --data, --text and --file`, help);
}

/** The request that was typed, for this model. @throws CliError (exit code 2) naming the model's inputs. */
export function makeBody(context: Context, model: ModelMetadata, { data, text, file }: Given): InferBody {
  try {
    if (text !== undefined) return bodyFromTexts(text, model);
    const source = file === undefined ? data : readFileSync(file === '-' ? 0 : resolve(context.cwd, file), 'utf8');
    return bodyFromData(JSON.parse(source ?? ''), model);
  } catch (error) {
    if (error instanceof InputError) throw new CliError(error.message, inputsOf(model), 2);
    if (error instanceof SyntaxError) throw new CliError(`the input is no JSON: ${error.message}`, inputsOf(model), 2);
    throw new CliError(`cannot read ${file}: ${(error as Error).message}`, [], 2);
  }
}

const inputsOf = (model: ModelMetadata): string[] => [
  `Inputs of ${model.name}: ${model.inputs.map((i) => `${i.name} ${i.datatype} [${i.shape.join(', ')}]`).join('; ')}`,
];
