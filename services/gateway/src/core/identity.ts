import { hash, timingSafeEqual } from 'node:crypto';
import type { KeyRecord } from '@spillway/contracts/buckets';
import { classRank, isTrafficClass, type TrafficClass } from '@spillway/contracts/classes';
import { isName } from '@spillway/contracts/names';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Identity } from './request.ts';

const KEY_PATTERN = /^sk_([A-Za-z0-9]{1,32})_([0-9A-Za-z]{43})$/;
const ID_PATTERN = /^[A-Za-z0-9]{1,32}$/;
const ABSENT = Buffer.alloc(32);

export const ANONYMOUS: Identity = { tenant: 'anonymous', trafficClass: 'standard', keyId: '' };

const refused = (): SpillwayError =>
  new SpillwayError('UNAUTHENTICATED', 'authorization: expected "Bearer" and a valid API key');

const isRate = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value) && value > 0;
const isRateOrAbsent = (value: unknown): boolean => value === undefined || isRate(value);

/**
 * Makes a record of what a file or a bucket holds; `at` is where. Absent scopes are `infer`.
 * @throws SpillwayError `INVALID_REQUEST` naming the field: a record half understood would let in whom it should not.
 */
export function checkKeyRecord(value: unknown, at: string): KeyRecord {
  const bad = (field: string, expected: string): SpillwayError =>
    new SpillwayError('INVALID_REQUEST', `${at}${field}: expected ${expected}`);
  if (typeof value !== 'object' || value === null) throw bad('', 'an object');
  const record = value as KeyRecord;
  const { id, tenant, sha256, scopes = ['infer'], quota, weight, overQuota, expiresAt } = record;
  if (!ID_PATTERN.test(id ?? '')) throw bad('.id', '1 to 32 letters or digits');
  if (!isName(tenant ?? '')) throw bad('.tenant', 'a name');
  if (!isTrafficClass(record.class)) throw bad('.class', 'vip, standard or bulk');
  if (!/^[0-9a-f]{64}$/.test(sha256 ?? '')) throw bad('.sha256', '64 hex digits');
  if (!Array.isArray(scopes) || !scopes.every((scope) => isName(scope))) throw bad('.scopes', 'a list of names');
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

/**
 * Which key is whose: the records it was made with, which stay, and those that come and go by `set` and `remove`.
 * Every refusal has the same code, text and path, whatever was wrong.
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
    this.#put(record);
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
      identity: { tenant: record.tenant, trafficClass: record.class, keyId: record.id },
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

  /** Whether the key that called has this scope; a caller without a key has none. */
  hasScope({ keyId }: Identity, scope: string): boolean {
    return this.#byId.get(keyId)?.record.scopes.includes(scope) ?? false;
  }

  /**
   * The class of a tenant that is known by something else than a key (the subject of an event): the highest of its valid keys,
   * standard for a tenant without one. O(keys).
   */
  classOf(tenant: string): TrafficClass {
    let highest: TrafficClass | undefined;
    for (const { identity, expiresAtMs } of this.#byId.values()) {
      if (identity.tenant !== tenant || this.#epochMs() >= expiresAtMs) continue;
      const { trafficClass } = identity;
      if (highest === undefined || classRank(trafficClass) < classRank(highest)) highest = trafficClass;
    }
    return highest ?? ANONYMOUS.trafficClass;
  }

  /** @throws SpillwayError `UNAUTHENTICATED`. */
  identify(authorization: string | undefined): Identity {
    if (authorization === undefined || authorization === '') {
      if (this.#allowAnonymous) return ANONYMOUS;
      throw refused();
    }
    const known = this.#verified.get(authorization) ?? this.#verify(authorization);
    if (this.#epochMs() >= known.expiresAtMs) throw refused();
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
