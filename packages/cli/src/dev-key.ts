import { createHash, randomInt } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KeyRecord } from '@spillway/contracts/buckets';
import { SCOPES } from '@spillway/contracts/keys';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const SECRET_LENGTH = 43; // 256 bits
const KEY_PATTERN = /^sk_(?<id>[A-Za-z0-9]{1,32})_(?<secret>[0-9A-Za-z]{43})$/;
const DEV_ID = 'dev';

export const devKeyFile = (dataDir: string): string => join(dataDir, 'dev-key');
export const keysFile = (dataDir: string): string => join(dataDir, 'keys.json');

/** The plain development key, or undefined if there is none yet. */
export function readDevKey(dataDir: string): string | undefined {
  const key = readText(devKeyFile(dataDir))?.trim();
  return key !== undefined && KEY_PATTERN.test(key) ? key : undefined;
}

/**
 * Makes the development key once and keeps its record in the gateway's key file; other records stay.
 * Both files are for this user only.
 */
export function ensureDevKey(dataDir: string): string {
  mkdirSync(dataDir, { recursive: true });
  const key = readDevKey(dataDir) ?? newKey(DEV_ID);
  writePrivate(devKeyFile(dataDir), `${key}\n`);
  const scopes = [...SCOPES]; // whoever started the mesh operates it
  const record: KeyRecord = { id: DEV_ID, sha256: secretHash(key), tenant: 'dev', class: 'vip', scopes };
  const others = readRecords(dataDir).filter(({ id }) => id !== DEV_ID);
  writePrivate(keysFile(dataDir), `${JSON.stringify({ keys: [record, ...others] }, null, 2)}\n`);
  return key;
}

export function newKey(id: string): string {
  const secret = Array.from({ length: SECRET_LENGTH }, () => BASE62[randomInt(BASE62.length)]).join('');
  return `sk_${id}_${secret}`;
}

export function secretHash(key: string): string {
  const secret = KEY_PATTERN.exec(key)?.groups?.['secret'];
  if (secret === undefined) throw new Error('bug: expected sk_<id>_<43 base62 characters>');
  return createHash('sha256').update(secret).digest('hex');
}

/** With the former name of `expiresAt`, which gateways refuse. */
type StoredRecord = KeyRecord & { expires_at?: number };

function readRecords(dataDir: string): KeyRecord[] {
  const text = readText(keysFile(dataDir));
  const stored = text === undefined ? [] : ((JSON.parse(text) as { keys?: StoredRecord[] }).keys ?? []);
  return stored.map(({ expires_at: expiresAt, ...record }) =>
    expiresAt === undefined ? record : { expiresAt, ...record },
  );
}

const readText = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
};

function writePrivate(path: string, text: string): void {
  const next = `${path}.${process.pid}`;
  writeFileSync(next, text, { mode: 0o600 });
  chmodSync(next, 0o600);
  renameSync(next, path);
}
