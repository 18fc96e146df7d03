import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { integerOption, parseCommand } from '../args.ts';
import { CliError, type Context, usageError } from '../context.ts';
import { readDevKey } from '../dev-key.ts';
import { type Answer, Door, errorText, type InferBody, type JsonTensor, type ModelMetadata } from '../door.ts';
import { bodyFromData, bodyFromTexts, InputError } from '../infer-input.ts';
import { receiptLines } from '../receipt.ts';
import { readState } from '../state-file.ts';

export const OPTIONS = {
  data: { type: 'string' },
  text: { type: 'string', multiple: true },
  file: { type: 'string' },
  url: { type: 'string' },
  key: { type: 'string' },
  'timeout-ms': { type: 'string' },
  json: { type: 'boolean' },
} as const;

export async function run(context: Context, argv: string[]): Promise<number> {
  const { values, positionals } = parseCommand('infer', argv, OPTIONS, { required: ['MODEL'] });
  const [model = ''] = positionals;
  const given = [values.data, values.text, values.file].filter((value) => value !== undefined);
  if (given.length !== 1) throw usageError('infer: expected one of --data, --text and --file', 'infer');
  const timeoutMs = integerOption('infer', 'timeout-ms', values['timeout-ms'], { min: 1, max: 600_000, fallback: 0 });

  const url = values.url ?? readState(context.dataDir)?.endpoints.http;
  if (url === undefined)
    throw new CliError('no mesh is running', ['Start one: ./spillway up   Or name its door: --url URL']);
  using door = new Door(url, values.key ?? readDevKey(context.dataDir));
  const metadata = await door.metadata(model);
  const body = makeBody(context, metadata, values);
  const answer = await door.infer(model, body, timeoutMs > 0 ? { 'spillway-timeout-ms': String(timeoutMs) } : {});
  show(context, answer, values.json === true);
  return answer.status === 200 ? 0 : 1;
}

type Given = { data?: string | undefined; text?: string[] | undefined; file?: string | undefined };

function makeBody(context: Context, model: ModelMetadata, { data, text, file }: Given): InferBody {
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

function show(context: Context, answer: Answer, asJson: boolean): void {
  if (asJson) context.print(JSON.stringify(answer.body, null, 2));
  else if (answer.status !== 200) context.say(errorText(answer));
  else {
    for (const { name, datatype, shape, data } of (answer.body as { outputs: JsonTensor[] }).outputs) {
      const shown =
        data.length > 64
          ? `${JSON.stringify(data.slice(0, 64)).slice(0, -1)}, … ${data.length} in all]`
          : JSON.stringify(data);
      context.print(`${name}  ${datatype} [${shape.join(', ')}]  ${shown}`);
    }
  }
  if (!asJson) for (const line of receiptLines(answer)) context.say(line);
}
