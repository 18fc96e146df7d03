import { createHash } from 'node:crypto';
import type { Bus } from '@spillway/bus/bus';
import { openBucket } from '@spillway/bus/kv';
import { KEYS, type KeyRecord } from '@spillway/contracts/buckets';
import { DEFAULT_SCOPES } from '@spillway/contracts/keys';

/** A key in the bucket, which a gateway hears of a moment later. */
export type TestKey = { record: KeyRecord; headers: { authorization: string } };

/** Writes a key of tenant `acme`, class standard, under its id. */
export async function putKey(bus: Bus, id: string, over: Partial<KeyRecord> = {}): Promise<TestKey> {
  const secret = id.padEnd(43, '0');
  const sha256 = createHash('sha256').update(secret).digest('hex');
  const record: KeyRecord = {
    ...{ id, sha256, tenant: 'acme', class: 'standard', scopes: [...DEFAULT_SCOPES], createdAt: 1 },
    ...over,
  };
  await openBucket<KeyRecord>(bus, KEYS).put(id, record);
  return { record, headers: { authorization: `Bearer sk_${id}_${secret}` } };
}

export const revoke = (bus: Bus, id: string): Promise<void> => openBucket<KeyRecord>(bus, KEYS).delete(id);
