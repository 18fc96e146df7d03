import type { KeyRecord } from '@spillway/contracts/buckets';
import { familyOf } from '@spillway/contracts/keys';
import { timeLeft } from '../duration.ts';
import { table } from '../table.ts';

const HEAD = [
  ...['id', 'family', 'tenant', 'class', 'ms/s', 'requests/s', 'over quota', 'weight', 'scopes', 'expires in'],
  'created',
];

/** The records as a table, by tenant; nothing of a secret is in them. */
export function keyTable(records: Iterable<KeyRecord>, epochMs: number): string[] {
  const sorted = [...records].sort((a, b) =>
    a.tenant === b.tenant ? (a.createdAt ?? 0) - (b.createdAt ?? 0) : a.tenant < b.tenant ? -1 : 1,
  );
  return table(
    HEAD,
    sorted.map((record) => row(record, epochMs)),
  );
}

const row = (record: KeyRecord, epochMs: number) => {
  const { id, tenant, quota, overQuota, weight, scopes, expiresAt, createdAt } = record;
  return [
    id,
    familyOf(record),
    tenant,
    record.class,
    quota?.costPerSecond === undefined ? '-' : String(quota.costPerSecond),
    quota?.requestsPerSecond === undefined ? '-' : String(quota.requestsPerSecond),
    quota === undefined ? '-' : (overQuota ?? 'refuse'),
    String(weight ?? 1),
    scopes.join(','),
    expiresAt === undefined ? 'never' : timeLeft(expiresAt - epochMs),
    createdAt === undefined ? '-' : new Date(createdAt).toISOString().slice(0, 16).replace('T', ' '),
  ];
};
