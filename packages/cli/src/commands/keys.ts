import type { Bus } from '@spillway/bus/bus';
import { openBucket } from '@spillway/bus/kv';
import { KEYS, type KeyRecord } from '@spillway/contracts/buckets';
import { isName } from '@spillway/contracts/names';
import { parseCommand } from '../args.ts';
import { audit, auditOrSay } from '../audit.ts';
import { CliError, type Context, usageError } from '../context.ts';
import { newKey, secretHash } from '../dev-key.ts';
import { readCapacities } from '../keys/capacity.ts';
import { type KeyOptions, keyFromOptions, newKeyId } from '../keys/key-options.ts';
import { keyTable } from '../keys/key-table.ts';
import { checkVipPromise } from '../keys/vip-promise.ts';
import { onMeshBus, readBucket } from '../mesh-bus.ts';

export const OPTIONS = {
  tenant: { type: 'string' },
  class: { type: 'string' },
  quota: { type: 'string' },
  rate: { type: 'string' },
  weight: { type: 'string' },
  'over-quota': { type: 'string' },
  expires: { type: 'string' },
  scopes: { type: 'string' },
  json: { type: 'boolean' },
} as const;

export async function run(context: Context, argv: string[]): Promise<number> {
  const { values, positionals } = parseCommand('keys', argv, OPTIONS, {
    required: ['create, list or revoke'],
    optional: ['ID'],
  });
  const [action, id] = positionals;
  const { json = false, ...options } = values;
  if (action !== 'create' && Object.keys(options).length > 0)
    throw usageError(`keys ${action}: --${Object.keys(options)[0]} belongs to keys create`, 'keys');
  if (action !== 'revoke' && id !== undefined) throw usageError(`keys ${action}: "${id}" is one word too many`, 'keys');
  if (action === 'create') await create(context, options, json);
  else if (action === 'list') await list(context, json);
  else if (action === 'revoke') await revoke(context, id ?? '');
  else throw usageError(`keys: expected create, list or revoke, got "${action}"`, 'keys');
  return 0;
}

async function create(context: Context, options: KeyOptions, json: boolean): Promise<void> {
  const record = keyFromOptions(options, newKeyId(), Date.now());
  const key = newKey(record.id);
  const notes = await onMeshBus(context, async (bus) => {
    const checked = await promiseNotes(bus, record);
    await audit(bus, 'key', 'create', { key: record }); // a key without a record of who made it is worse than none
    await openBucket<KeyRecord>(bus, KEYS).put(record.id, { ...record, sha256: secretHash(key) });
    return checked;
  });
  context.print(json ? JSON.stringify({ key, ...record }) : key);
  if (!json) context.say('This is the only time that the key is shown: what is kept is a hash of it.');
  for (const note of notes) context.say(note);
}

async function promiseNotes(bus: Bus, record: Omit<KeyRecord, 'sha256'>): Promise<string[]> {
  const needsCapacity = record.class === 'vip' && record.quota?.costPerSecond !== undefined;
  const capacities = needsCapacity ? await readCapacities(bus) : [];
  const others = needsCapacity ? (await readBucket<KeyRecord>(bus, KEYS)).values() : [];
  return checkVipPromise(record, others, capacities, Date.now());
}

async function list(context: Context, json: boolean): Promise<void> {
  const records = await onMeshBus(context, (bus) => readBucket<KeyRecord>(bus, KEYS));
  if (json) {
    const shown = [...records.values()].map(({ sha256: _, ...record }) => record);
    context.print(JSON.stringify(shown, null, 2));
  } else if (records.size === 0)
    context.say('no keys yet; make one: ./spillway keys create --tenant NAME --class CLASS');
  else for (const line of keyTable(records.values(), Date.now())) context.print(line);
}

async function revoke(context: Context, id: string): Promise<void> {
  if (!isName(id)) throw usageError('keys revoke: expected the ID of a key, as keys list shows it', 'keys');
  const record = await onMeshBus(context, async (bus) => {
    const keys = openBucket<KeyRecord>(bus, KEYS);
    const found = await keys.get(id);
    if (found === undefined) {
      throw new CliError(`there is no key "${id}"`, [
        'See: ./spillway keys list   Keys of GATEWAY_KEYS_FILE are removed there; gateways read it at start.',
      ]);
    }
    const { sha256: _, ...known } = found;
    await keys.delete(id);
    await auditOrSay(context.say, bus, 'key', 'revoke', { key: known });
    return found;
  });
  context.print(`${id} of tenant ${record.tenant} is revoked: gateways refuse it from now on`);
}
