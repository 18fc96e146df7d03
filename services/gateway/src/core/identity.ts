import { hash, timingSafeEqual } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { KeyRecord } from '@spillway/contracts/buckets';
import { classRank, isTrafficClass } from '@spillway/contracts/classes';
import { DEFAULT_SCOPES } from '@spillway/contracts/keys';
import { isName } from '@spillway/contracts/names';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Identity } from './request.ts';
import { requireScope } from './scopes.ts';

const KEY_PATTERN = /^sk_([A-Za-z0-9]{1,32})_([0-9A-Za-z]{43})$/;
const ID_PATTERN = /^[A-Za-z0-9]{1,32}$/;
const ABSENT = Buffer.alloc(32);

/** Whoever reaches loopback may do what any key may, and nothing that is only for operators. */
export const ANONYMOUS: Identity = {
  tenant: 'anonymous',
  trafficClass: 'standard',
  keyId: '',
  scopes: DEFAULT_SCOPES,
};

const refused = (): SpillwayError =>
  new SpillwayError('UNAUTHENTICATED', 'authorization: expected "Bearer" and a valid API key');
/** Said only to who has the secret. */
const expired = (): SpillwayError =>
  SpillwayError.refusal('UNAUTHENTICATED', 'authorization: the API key has expired', { reason: 'key_expired' });

const isRate = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value) && value > 0;
const isRateOrAbsent = (value: unknown): boolean => value === undefined || isRate(value);

/**
 * Makes a record of what a file or a bucket holds; `at` is where. Absent scopes are `DEFAULT_SCOPES`.
 * @throws SpillwayError `INVALID_REQUEST` naming the field: a record half understood would let in whom it should not.
 */
export function checkKeyRecord(value: unknown, at: string): KeyRecord {
  const bad = (field: string, expected: string): SpillwayError =>
    new SpillwayError('INVALID_REQUEST', `${at}${field}: expected ${expected}`);
  if (typeof value !== 'object' || value === null) throw bad('', 'an object');
  const record = value as KeyRecord;
  const { id, tenant, sha256, scopes = [...DEFAULT_SCOPES], family, quota, weight, overQuota, expiresAt } = record;
  if (!ID_PATTERN.test(id ?? '')) throw bad('.id', '1 to 32 letters or digits');
  if (!isName(tenant ?? '')) throw bad('.tenant', 'a name');
  if (!isTrafficClass(record.class)) throw bad('.class', 'vip, standard or bulk');
  if (!/^[0-9a-f]{64}$/.test(sha256 ?? '')) throw bad('.sha256', '64 hex digits');
  if (!Array.isArray(scopes) || !scopes.every((scope) => isName(scope))) throw bad('.scopes', 'a list of names');
  if (family !== undefined && !ID_PATTERN.test(family)) throw bad('.family', '1 to 32 letters or digits');
  if (quota !== undefined && (typeof quota !== 'object' || quota === null)) throw bad('.quota', 'an object');
  if (!isRateOrAbsent(quota?.costPerSecond)) throw bad('.quota.costPerSecond', 'a number > 0');
  if (!isRateOrAbsent(quota?.requestsPerSecond)) throw bad('.quota.requestsPerSecond', 'a number > 0');
  if (!isRateOrAbsent(weight)) throw bad('.weight', 'a number > 0');
  if (overQuota !== undefined && !['refuse', 'lower'].includes(overQuota)) throw bad('.overQuota', 'refuse or lower');
  if ('expires_at' in record) throw bad('.expires_at', 'the name expiresAt');
  if (!isRateOrAbsent(expiresAt)) throw bad('.expiresAt', 'milliseconds since 1970');
  return { ...record, scopes };
}

type Known = { record: KeyRecord; identity: Identity; sha256: Buffer; expiresAtMs: number; header: string };

/** The highest class first, in a class the newest. */
const byClassAndAge = ({ record: a }: Known, { record: b }: Known): number =>
  classRank(a.class) - classRank(b.class) || (b.createdAt ?? 0) - (a.createdAt ?? 0) || (a.id < b.id ? 1 : -1);

/**
 * Which key is whose: the records it was made with, which stay, and those that come and go by `set` and `remove`.
 * Every refusal has the same code, text and path, whatever was wrong; who has the secret of an expired key is told that.
 */
export class KeyRing {
  readonly #fixed: ReadonlySet<string>;
  readonly #byId = new Map<string, Known>();
  /**
   * Headers whose secret was verified, at most one for each key: a digest costs ten times this look-up. Finding a string here
   * tells nothing of how much of it is right: a map compares by a seeded hash of the whole string before it compares text.
   */
  readonly #verified = new Map<string, Known>();
  readonly #allowAnonymous: boolean;
  readonly #epochMs: () => number;

  /** @throws SpillwayError `INVALID_REQUEST` naming the record and the field. */
  constructor(records: readonly unknown[], options: { allowAnonymous: boolean; epochMs: () => number }) {
    this.#allowAnonymous = options.allowAnonymous;
    this.#epochMs = options.epochMs;
    for (const [index, value] of records.entries()) this.#put(checkKeyRecord(value, `keys[${index}]`));
    this.#fixed = new Set(this.#byId.keys());
  }

  /** All records, expired ones included. */
  records(): KeyRecord[] {
    return [...this.#byId.values()].map(({ record }) => record);
  }

  /** From now on this record counts. False: the ring was made with another one of this id, which stays. */
  set(record: KeyRecord): boolean {
    if (this.#fixed.has(record.id)) return false;
    if (!isDeepStrictEqual(record, this.#byId.get(record.id)?.record)) this.#put(record);
    return true;
  }

  /** The next request with this key is refused. False: the ring was made with it, and it stays. */
  remove(id: string): boolean {
    if (this.#fixed.has(id)) return false;
    this.#forget(id);
    return true;
  }

  #put(record: KeyRecord): void {
    this.#forget(record.id);
    this.#byId.set(record.id, {
      record,
      identity: { tenant: record.tenant, trafficClass: record.class, keyId: record.id, scopes: record.scopes },
      sha256: Buffer.from(record.sha256, 'hex'),
      expiresAtMs: record.expiresAt ?? Number.POSITIVE_INFINITY,
      header: '',
    });
  }

  #forget(id: string): void {
    const known = this.#byId.get(id);
    if (known === undefined) return;
    this.#byId.delete(id);
    this.#verified.delete(known.header);
  }

  /**
   * Who publishes, where the tenant is known by something else than a key (the subject of an event): the valid key of the highest
   * class among those with the scope `events`, of several the newest, so that all gateways charge the same quota. A tenant without
   * any record is served like a caller without a key. O(keys).
   * @throws SpillwayError `UNAUTHENTICATED`, reason `key_expired` or `no_key`, when no key is valid; `FORBIDDEN` when none may publish.
   */
  publisherOf(tenant: string): Identity {
    const keys = [...this.#byId.values()].filter(({ identity }) => identity.tenant === tenant);
    if (keys.length === 0 && this.#allowAnonymous) return { ...ANONYMOUS, tenant };
    const valid = keys.filter(({ expiresAtMs }) => this.#epochMs() < expiresAtMs).sort(byClassAndAge);
    const publisher = valid.find(({ identity }) => identity.scopes.includes('events'));
    if (publisher !== undefined) return publisher.identity;
    for (const { identity } of valid) requireScope(identity, 'events');
    throw SpillwayError.refusal('UNAUTHENTICATED', 'subject: expected a tenant with a valid API key', {
      reason: keys.length > 0 ? 'key_expired' : 'no_key',
    });
  }

  /** Whether `identify` would give this identity, which it gave before, again. */
  isCurrent(identity: Identity): boolean {
    if (identity.keyId === '') return this.#allowAnonymous;
    const known = this.#byId.get(identity.keyId);
    return known?.identity === identity && this.#epochMs() < known.expiresAtMs;
  }

  /** @throws SpillwayError `UNAUTHENTICATED`, for an expired key with the reason `key_expired`. */
  identify(authorization: string | undefined): Identity {
    if (authorization === undefined || authorization === '') {
      if (this.#allowAnonymous) return ANONYMOUS;
      throw refused();
    }
    const known = this.#verified.get(authorization) ?? this.#verify(authorization);
    if (this.#epochMs() >= known.expiresAtMs) throw expired();
    return known.identity;
  }

  #verify(authorization: string): Known {
    const match = /^Bearer +/i.test(authorization) ? KEY_PATTERN.exec(authorization.slice(6).trim()) : null;
    const known = match === null ? undefined : this.#byId.get(match[1] as string);
    const digest = hash('sha256', match === null ? '' : (match[2] as string), 'buffer');
    const same = timingSafeEqual(digest, known?.sha256 ?? ABSENT);
    if (known === undefined || !same) throw refused();
    // The first way of writing it, so that spaces and letters of another case cannot fill the map.
    if (known.header === '') {
      known.header = authorization;
      this.#verified.set(authorization, known);
    }
    return known;
  }
}
