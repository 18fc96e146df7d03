import type { Lever } from '@spillway/contracts/buckets';
import { parseCommand } from '../args.ts';
import { CliError, type Context, usageError } from '../context.ts';
import { readLevers, releaseLevers } from '../levers/lever-bucket.ts';
import { describeLever, leverTable } from '../levers/lever-lines.ts';
import { onMeshBus } from '../mesh-bus.ts';

export const OPTIONS = { all: { type: 'boolean' } } as const;

export async function run(context: Context, argv: string[]): Promise<number> {
  const { values, positionals } = parseCommand('release', argv, OPTIONS, { optional: ['ID'] });
  const [id] = positionals;
  if (values.all && id !== undefined) throw usageError('release: expected an ID or --all, not both', 'release');
  await onMeshBus(context, async (bus) => {
    const pulled = await readLevers(bus, Date.now());
    if (pulled.length === 0 && id === undefined) return context.say('no lever is pulled');
    const chosen = values.all ? pulled : [chooseLever(pulled, id)];
    await releaseLevers(bus, chosen, context.say);
    for (const lever of chosen) context.print(`released ${lever.id}: ${describeLever(lever)}`);
  });
  return 0;
}

/** The lever of this id; without one the only one. @throws CliError showing what is pulled. */
export function chooseLever(pulled: readonly Lever[], id: string | undefined): Lever {
  const shown = pulled.length === 0 ? ['No lever is pulled.'] : leverTable(pulled, Date.now());
  if (id === undefined) {
    const [only, second] = pulled;
    if (only !== undefined && second === undefined) return only;
    throw new CliError(`release: ${pulled.length} levers are pulled; expected an ID or --all`, shown, 2);
  }
  const found = pulled.find((lever) => lever.id === id);
  if (found === undefined) throw new CliError(`there is no lever "${id}"`, shown);
  return found;
}
