import type { Bus } from '@spillway/bus/bus';
import { openBucket } from '@spillway/bus/kv';
import { KEYS, type KeyRecord } from '@spillway/contracts/buckets';
import { isName } from '@spillway/contracts/names';
import { parseCommand } from '../args.ts';
import { audit, auditOrSay } from '../audit.ts';
import { CliError, type Context, usageError } from '../context.ts';
import { newKey, secretHash } from '../dev-key.ts';
import { durationOption, timeLeft } from '../duration.ts';
import { readCapacities } from '../keys/capacity.ts';
import { type KeyOptions, keyFromOptions, lifeOf, newKeyId } from '../keys/key-options.ts';
import { keyTable } from '../keys/key-table.ts';
import { rotate } from '../keys/rotation.ts';
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
  overlap: { type: 'string' },
  json: { type: 'boolean' },
} as const;

/** The actions, and the options that each takes. */
const ACTIONS = new Map<string, readonly string[]>([
  ['create', Object.keys(OPTIONS).filter((name) => name !== 'overlap')],
  ['rotate', ['overlap', 'expires', 'json']],
  ['list', ['json']],
  ['revoke', []],
]);
const WITH_ID = ['rotate', 'revoke'];

export async function run(context: Context, argv: string[]): Promise<number> {
  const { values, positionals } = parseCommand('keys', argv, OPTIONS, {
    required: ['create, rotate, list or revoke'],
    optional: ['ID'],
  });
  const [action = '', id] = positionals;
  const takes = ACTIONS.get(action);
  if (takes === undefined) throw usageError(`keys: expected create, rotate, list or revoke, got "${action}"`, 'keys');
  const wrong = Object.keys(values).find((name) => !takes.includes(name));
  if (wrong !== undefined) throw usageError(`keys ${action}: --${wrong} is no option of it`, 'keys');
  if (!WITH_ID.includes(action) && id !== undefined)
    throw usageError(`keys ${action}: "${id}" is one word too many`, 'keys');
  const { json = false, ...options } = values;
  if (action === 'create') await create(context, options, json);
  else if (action === 'rotate') await rotateKey(context, id ?? '', options, json);
  else if (action === 'list') await list(context, json);
  else await revoke(context, id ?? '');
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
  show(context, key, record, json);
  for (const note of notes) context.say(note);
}

function show(context: Context, key: string, record: Omit<KeyRecord, 'sha256'>, json: boolean): void {
  context.print(json ? JSON.stringify({ key, ...record }) : key);
  if (!json) context.say('This is the only time that the key is shown: what is kept is a hash of it.');
}

async function rotateKey(
  context: Context,
  id: string,
  options: { overlap?: string | undefined; expires?: string | undefined },
  json: boolean,
): Promise<void> {
  checkId('rotate', id);
  const overlapMs = durationOption('keys', 'overlap', options.overlap ?? '24h', { min: '0s', max: '90d' });
  const lifeMs = options.expires === undefined ? undefined : lifeOf(options.expires);
  const { key, old, next } = await onMeshBus(context, async (bus) => {
    const records = await readBucket<KeyRecord>(bus, KEYS);
    const found = records.get(id) ?? unknownKey(id);
    const rotation = rotate(found, records.values(), { id: newKeyId(), overlapMs, lifeMs, epochMs: Date.now() });
    const key = newKey(rotation.next.id);
    const { sha256: _, ...known } = rotation.old;
    await audit(bus, 'key', 'rotate', { key: rotation.next, replaces: known });
    const keys = openBucket<KeyRecord>(bus, KEYS);
    await keys.put(rotation.next.id, { ...rotation.next, sha256: secretHash(key) });
    await keys.put(id, rotation.old); // last: were this to fail, both would work, and the list shows it
    return { key, ...rotation };
  });
  show(context, key, next, json);
  if (!json) context.say(`${id} works for ${timeLeft((old.expiresAt ?? 0) - Date.now())} more; both share one quota.`);
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
  checkId('revoke', id);
  const record = await onMeshBus(context, async (bus) => {
    const keys = openBucket<KeyRecord>(bus, KEYS);
    const found = (await keys.get(id)) ?? unknownKey(id);
    const { sha256: _, ...known } = found;
    await keys.delete(id);
    await auditOrSay(context.say, bus, 'key', 'revoke', { key: known });
    return found;
  });
  context.print(`${id} of tenant ${record.tenant} is revoked: gateways refuse it from now on`);
}

function checkId(action: string, id: string): void {
  if (!isName(id)) throw usageError(`keys ${action}: expected the ID of a key, as keys list shows it`, 'keys');
}

function unknownKey(id: string): never {
  throw new CliError(`there is no key "${id}"`, [
    'See: ./spillway keys list   Keys of GATEWAY_KEYS_FILE are changed there; gateways read it at start.',
  ]);
}
