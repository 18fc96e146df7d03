import { integerOption, parseCommand } from '../args.ts';
import type { Context } from '../context.ts';
import { type Answer, Door, errorText, type JsonTensor } from '../door.ts';
import { DOOR_OPTIONS, doorOf } from '../mesh-client.ts';
import { receiptLines } from '../receipt.ts';
import { checkGiven, INPUT_OPTIONS, makeBody } from '../request-body.ts';
import { tensorLine } from '../tensor-line.ts';

export const OPTIONS = {
  ...INPUT_OPTIONS,
  ...DOOR_OPTIONS,
  'timeout-ms': { type: 'string' },
  json: { type: 'boolean' },
} as const;

export async function run(context: Context, argv: string[]): Promise<number> {
  const { values, positionals } = parseCommand('infer', argv, OPTIONS, { required: ['MODEL'] });
  const [model = ''] = positionals;
  checkGiven('infer', values, 'infer');
  const timeoutMs = integerOption('infer', 'timeout-ms', values['timeout-ms'], { min: 1, max: 600_000, fallback: 0 });

  const { url, key, tls } = doorOf(context, values);
  using door = new Door(url, key, { tls }); // not the SDK: what is shown is the door's answer as it came
  const metadata = await door.metadata(model);
  const body = makeBody(context, metadata, values);
  const answer = await door.infer(model, body, timeoutMs > 0 ? { 'spillway-timeout-ms': String(timeoutMs) } : {});
  show(context, answer, values.json === true);
  return answer.status === 200 ? 0 : 1;
}

function show(context: Context, answer: Answer, asJson: boolean): void {
  if (asJson) context.print(JSON.stringify(answer.body, null, 2));
  else if (answer.status !== 200) context.say(errorText(answer));
  else {
    for (const output of (answer.body as { outputs: JsonTensor[] }).outputs) {
      context.print(tensorLine(output.name, output));
    }
  }
  if (!asJson) for (const line of receiptLines(answer)) context.say(line);
}
