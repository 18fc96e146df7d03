import { parseCommand } from '../args.ts';
import { type Context, usageError } from '../context.ts';
import { checkVariant, knownModel, readFor, readScope } from '../levers/lever-options.ts';
import { pull } from '../levers/pull.ts';

export const OPTIONS = {
  to: { type: 'string' },
  class: { type: 'string' },
  tenant: { type: 'string' },
  for: { type: 'string' },
} as const;

export async function run(context: Context, argv: string[]): Promise<number> {
  const { values, positionals } = parseCommand('degrade', argv, OPTIONS, { required: ['MODEL'] });
  const [model = ''] = positionals;
  const { to } = values;
  if (to === undefined) throw usageError('degrade: expected --to VARIANT', 'degrade');
  const effect = { kind: 'degrade' as const, to, ...readScope('degrade', { ...values, model }) };
  await pull(context, effect, readFor('degrade', values.for), (models) => checkVariant(knownModel(model, models), to));
  return 0;
}
