import { hash, timingSafeEqual } from 'node:crypto';
import { classRank, isTrafficClass, type TrafficClass } from '@spillway/contracts/classes';
import { isName } from '@spillway/contracts/names';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Identity } from './request.ts';

/** A key as it is stored: never the secret, only its SHA-256 (hex). */
export type KeyRecord = {
  id: string;
  sha256: string;
  tenant: string;
  class: string;
  scopes?: string[];
  /** Epoch ms; absent: it does not expire. */
  expires_at?: number;
};

const KEY_PATTERN = /^sk_([A-Za-z0-9]{1,32})_([0-9A-Za-z]{43})$/;
const ABSENT = Buffer.alloc(32);

export const ANONYMOUS: Identity = { tenant: 'anonymous', trafficClass: 'standard', keyId: '' };

const refused = (): SpillwayError =>
  new SpillwayError('UNAUTHENTICATED', 'authorization: expected "Bearer" and a valid API key');

/** Checks the shape of stored records. @throws SpillwayError `INVALID_REQUEST` naming the record. */
export function checkKeyRecord(record: KeyRecord, index: number): KeyRecord {
  const at = `keys[${index}]`;
  if (!isName(record.id ?? ''))
    throw new SpillwayError('INVALID_REQUEST', `${at}.id: expected 1 to 32 letters or digits`);
  if (!isName(record.tenant ?? '')) throw new SpillwayError('INVALID_REQUEST', `${at}.tenant: expected a name`);
  if (!isTrafficClass(record.class))
    throw new SpillwayError('INVALID_REQUEST', `${at}.class: expected vip, standard or bulk`);
  if (!/^[0-9a-f]{64}$/.test(record.sha256 ?? ''))
    throw new SpillwayError('INVALID_REQUEST', `${at}.sha256: expected 64 hex digits`);
  return record;
}

type Known = { identity: Identity; sha256: Buffer; expiresAtMs: number };

/** Which key is whose. Every refusal has the same code, text and path, whatever was wrong. */
export class KeyRing {
  readonly #byId = new Map<string, Known>();
  readonly #allowAnonymous: boolean;
  readonly #epochMs: () => number;

  constructor(records: readonly KeyRecord[], options: { allowAnonymous: boolean; epochMs: () => number }) {
    this.#allowAnonymous = options.allowAnonymous;
    this.#epochMs = options.epochMs;
    records.map(checkKeyRecord).forEach((record) => {
      this.#byId.set(record.id, {
        identity: { tenant: record.tenant, trafficClass: record.class as Identity['trafficClass'], keyId: record.id },
        sha256: Buffer.from(record.sha256, 'hex'),
        expiresAtMs: record.expires_at ?? Number.POSITIVE_INFINITY,
      });
    });
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
    const match = /^Bearer +/i.test(authorization) ? KEY_PATTERN.exec(authorization.slice(6).trim()) : null;
    const known = match === null ? undefined : this.#byId.get(match[1] as string);
    const digest = hash('sha256', match === null ? '' : (match[2] as string), 'buffer');
    const same = timingSafeEqual(digest, known?.sha256 ?? ABSENT);
    if (known === undefined || !same || this.#epochMs() >= known.expiresAtMs) throw refused();
    return known.identity;
  }
}
