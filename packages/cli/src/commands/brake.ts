import { parseCommand } from '../args.ts';
import type { Context } from '../context.ts';
import { knownModel, readBrake, readFor, readScope } from '../levers/lever-options.ts';
import { pull } from '../levers/pull.ts';

export const OPTIONS = {
  class: { type: 'string' },
  tenant: { type: 'string' },
  model: { type: 'string' },
  for: { type: 'string' },
} as const;

export async function run(context: Context, argv: string[]): Promise<number> {
  const { values, positionals } = parseCommand('brake', argv, OPTIONS, { required: ['RATE'] });
  const scope = readScope('brake', values);
  const effect = { kind: 'brake' as const, ...readBrake(positionals[0] ?? ''), ...scope };
  await pull(context, effect, readFor('brake', values.for), (models) => {
    if (scope.model !== undefined) knownModel(scope.model, models);
  });
  return 0;
}
