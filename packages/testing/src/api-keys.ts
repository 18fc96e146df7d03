import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const SECRET_LENGTH = 43;

export type TestKeys = Readonly<Record<'vip' | 'standard' | 'bulk', string>>;

const secret = (): string => Array.from(randomBytes(SECRET_LENGTH), (byte) => ALPHABET[byte % 62]).join('');

/** Writes a keys file with one key for each class, all of tenant `test`, and returns the keys (`sk_<id>_<secret>`). */
export async function writeKeysFile(file: string): Promise<TestKeys> {
  const secrets = { vip: secret(), standard: secret(), bulk: secret() };
  const keys = Object.entries(secrets).map(([trafficClass, text]) => ({
    id: trafficClass,
    sha256: createHash('sha256').update(text).digest('hex'),
    tenant: 'test',
    class: trafficClass,
  }));
  await writeFile(file, JSON.stringify({ keys }), { mode: 0o600 });
  return {
    vip: `sk_vip_${secrets.vip}`,
    standard: `sk_standard_${secrets.standard}`,
    bulk: `sk_bulk_${secrets.bulk}`,
  };
}
