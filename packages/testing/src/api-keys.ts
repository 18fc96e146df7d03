import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const SECRET_LENGTH = 43;

export type TestKeys = Readonly<Record<'vip' | 'standard' | 'bulk', string>>;

/** The same, and by the name of a further tenant. */
export type AllKeys = TestKeys & Readonly<Record<string, string>>;

/** A key of another tenant, whose name is the key's id too. */
export type TestTenant = {
  tenant: string;
  class: keyof TestKeys;
  quota?: { requestsPerSecond: number };
  scopes?: string[];
};

const secret = (): string => Array.from(randomBytes(SECRET_LENGTH), (byte) => ALPHABET[byte % 62]).join('');

/**
 * Writes a keys file with one key for each class, all of tenant `test`, and one for each further tenant, and returns the keys
 * (`sk_<id>_<secret>`) by class and by tenant.
 */
export async function writeKeysFile(file: string, tenants: readonly TestTenant[] = []): Promise<AllKeys> {
  const classes = (['vip', 'standard', 'bulk'] as const).map((name) => ({ id: name, tenant: 'test', class: name }));
  const wanted = [...classes, ...tenants.map((one) => ({ id: one.tenant, ...one }))];
  const secrets = wanted.map(secret);
  const keys = wanted.map((one, n) => ({
    ...one,
    sha256: createHash('sha256')
      .update(secrets[n] as string)
      .digest('hex'),
  }));
  await writeFile(file, JSON.stringify({ keys }), { mode: 0o600 });
  const texts = wanted.map(({ id }, n) => [id, `sk_${id}_${secrets[n]}`]);
  return Object.fromEntries(texts) as AllKeys;
}
