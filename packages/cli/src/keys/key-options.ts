import { randomInt } from 'node:crypto';
import type { KeyQuota, KeyRecord } from '@spillway/contracts/buckets';
import { CLASSES, isTrafficClass } from '@spillway/contracts/classes';
import { DEFAULT_SCOPES, isScope, SCOPES } from '@spillway/contracts/keys';
import { isName } from '@spillway/contracts/names';
import { usageError } from '../context.ts';
import { durationOption } from '../duration.ts';

/** What the user typed behind `keys create`. */
export type KeyOptions = {
  tenant?: string | undefined;
  class?: string | undefined;
  quota?: string | undefined;
  rate?: string | undefined;
  weight?: string | undefined;
  'over-quota'?: string | undefined;
  expires?: string | undefined;
  scopes?: string | undefined;
};

const wrong = (message: string) => usageError(message, 'keys');
const MOST = 1e9;

/** A new record without its secret. @throws CliError (exit code 2) naming the option. */
export function keyFromOptions(options: KeyOptions, id: string, epochMs: number): Omit<KeyRecord, 'sha256'> {
  const tenant = options.tenant ?? '';
  if (!isName(tenant))
    throw wrong(`--tenant: expected 1 to 64 letters, digits, "_" or "-", got "${options.tenant ?? ''}"`);
  const trafficClass = options.class ?? '';
  if (!isTrafficClass(trafficClass))
    throw wrong(`--class: expected one of ${CLASSES.join(', ')}, got "${trafficClass}"`);
  const scopes = options.scopes === undefined ? [...DEFAULT_SCOPES] : options.scopes.split(',');
  if (!scopes.every(isScope))
    throw wrong(`--scopes: expected of ${SCOPES.join(', ')}, with commas between, got "${options.scopes}"`);
  const quota = quotaOf(options);
  const weight = positive('weight', options.weight);
  const overQuota = options['over-quota'];
  if (overQuota !== undefined) checkOverQuota(overQuota, trafficClass === 'vip', quota !== undefined);
  const lifeMs = options.expires === undefined ? undefined : lifeOf(options.expires);
  return {
    ...{ id, tenant, class: trafficClass, scopes, createdAt: epochMs },
    ...(quota && { quota }),
    ...(weight !== undefined && { weight }),
    ...(overQuota !== undefined && { overQuota: overQuota as 'refuse' | 'lower' }),
    ...(lifeMs !== undefined && { expiresAt: epochMs + lifeMs }),
  };
}

/** What stands behind `--expires`, in ms. @throws CliError (exit code 2). */
export const lifeOf = (text: string): number => durationOption('keys', 'expires', text, { min: '1m', max: '3650d' });

function quotaOf(options: KeyOptions): KeyQuota | undefined {
  const costPerSecond = positive('quota', options.quota);
  const requestsPerSecond = positive('rate', options.rate);
  if (costPerSecond === undefined && requestsPerSecond === undefined) return undefined;
  return {
    ...(costPerSecond !== undefined && { costPerSecond }),
    ...(requestsPerSecond !== undefined && { requestsPerSecond }),
  };
}

function checkOverQuota(text: string, isVip: boolean, hasQuota: boolean): void {
  if (text !== 'refuse' && text !== 'lower') throw wrong(`--over-quota: expected refuse or lower, got "${text}"`);
  if (!hasQuota) throw wrong('--over-quota: expected --quota or --rate beside it');
  if (text === 'lower' && !isVip) throw wrong('--over-quota lower: expected --class vip, which goes on as standard');
}

function positive(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,10}(\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN;
  if (value > 0 && value <= MOST) return value;
  throw wrong(`--${name}: expected a number above 0, at most ${MOST}, got "${text}"`);
}

const ID_LETTERS = '0123456789abcdefghijklmnopqrstuvwxyz';
const ID_LENGTH = 12;

/** The public part of a new key: letters and digits, 62 bits, so that it is new without looking. */
export const newKeyId = (): string =>
  Array.from({ length: ID_LENGTH }, () => ID_LETTERS[randomInt(ID_LETTERS.length)]).join('');
