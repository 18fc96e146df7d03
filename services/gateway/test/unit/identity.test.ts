import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { KeyRecord } from '@spillway/contracts/buckets';
import { ANONYMOUS, checkKeyRecord, KeyRing } from '../../src/core/identity.ts';

const secret = 'a'.repeat(43);
const digestOf = (text: string) => createHash('sha256').update(text).digest('hex');
const record: KeyRecord = { id: 'k1', sha256: digestOf(secret), tenant: 'acme', class: 'vip', scopes: ['infer'] };
const ring = (over: Partial<KeyRecord> = {}, allowAnonymous = true, now = 0) =>
  new KeyRing([{ ...record, ...over }], { allowAnonymous, epochMs: () => now });
const empty = () => new KeyRing([], { allowAnonymous: true, epochMs: () => 0 });
const header = `Bearer sk_k1_${secret}`;
const expired = { code: 'UNAUTHENTICATED', reason: 'key_expired' };
const refused = { code: 'UNAUTHENTICATED', message: 'authorization: expected "Bearer" and a valid API key' };

test('a known key gives its tenant and class, the first time and later', () => {
  const keys = ring();
  const identity = { tenant: 'acme', trafficClass: 'vip', keyId: 'k1', scopes: ['infer'] };
  assert.deepEqual([keys.identify(header), keys.identify(header)], [identity, identity]);
});

test('every bad key is refused with the same code and text, also beside one that was verified', () => {
  const keys = ring();
  keys.identify(header);
  for (const bad of [
    `Bearer sk_k1_${'b'.repeat(43)}`,
    `Bearer sk_k1_${secret.slice(0, 42)}b`,
    `Bearer sk_k2_${secret}`,
    `Basic sk_k1_${secret}`,
    'Bearer',
    'Bearer x',
    `sk_k1_${secret}`,
  ]) {
    assert.throws(() => keys.identify(bad), refused, bad);
  }
});

test('a key is refused from the moment at which it expires, also one that was verified', () => {
  let now = 999;
  const keys = new KeyRing([{ ...record, expiresAt: 1_000 }], { allowAnonymous: true, epochMs: () => now });
  assert.equal(keys.identify(header).keyId, 'k1');
  now = 1_000;
  assert.throws(() => keys.identify(header), expired);
});

test('that a key has expired is told only to who has its secret', () => {
  const keys = ring({ expiresAt: 1_000 }, true, 1_000);
  assert.throws(() => keys.identify(header), expired);
  assert.throws(() => keys.identify(`Bearer sk_k1_${'b'.repeat(43)}`), { ...refused, reason: undefined });
});

test('an identity is current until its key is removed, expires or has another record', () => {
  let now = 0;
  const keys = new KeyRing([], { allowAnonymous: true, epochMs: () => now });
  keys.set({ ...record, expiresAt: 1_000 });
  const identity = keys.identify(header);
  keys.set({ ...record, expiresAt: 1_000 }); // it comes again after each reconnect
  assert.equal(keys.isCurrent(identity), true);
  now = 1_000;
  assert.equal(keys.isCurrent(identity), false);
  now = 0;
  keys.set({ ...record, class: 'bulk' });
  assert.deepEqual([keys.isCurrent(identity), keys.isCurrent(keys.identify(header))], [false, true]);
  keys.remove('k1');
  assert.equal(keys.isCurrent(identity), false);
  assert.equal(keys.isCurrent(ANONYMOUS), true);
});

test('a call without a key is anonymous only where that is allowed', () => {
  assert.deepEqual(ring().identify(undefined), ANONYMOUS);
  assert.throws(() => ring({}, false).identify(undefined), refused);
});

test('a key that is set is known at once, one that is removed is refused at once', () => {
  const keys = empty();
  assert.throws(() => keys.identify(header), refused);
  assert.equal(keys.set(record), true);
  assert.equal(keys.identify(header).tenant, 'acme');
  assert.equal(keys.remove('k1'), true);
  assert.throws(() => keys.identify(header), refused);
});

test('a change of a key that was verified counts for the next request: its class, and its secret', () => {
  const keys = empty();
  keys.set(record);
  keys.identify(header);
  keys.set({ ...record, class: 'bulk' });
  assert.equal(keys.identify(header).trafficClass, 'bulk');
  keys.set({ ...record, sha256: digestOf('b'.repeat(43)) });
  assert.throws(() => keys.identify(header), refused);
});

test('records that the ring was made with are neither replaced nor removed', () => {
  const keys = ring();
  assert.deepEqual([keys.set({ ...record, class: 'bulk' }), keys.remove('k1')], [false, false]);
  assert.equal(keys.identify(header).trafficClass, 'vip');
  assert.deepEqual(keys.records(), [record]);
});

const tenants = (allowAnonymous: boolean) => {
  const scopes = ['infer', 'events'];
  return new KeyRing(
    [
      { ...record, scopes, id: 'k1', class: 'bulk' },
      { ...record, scopes, id: 'k2', class: 'standard' },
      { ...record, scopes, id: 'k3', class: 'vip', expiresAt: 1_000 },
      { ...record, id: 'k4', class: 'vip' },
      { ...record, scopes, id: 'k5', tenant: 'slow', class: 'bulk' },
      { ...record, scopes, id: 'k6', tenant: 'gone', expiresAt: 1_000 },
      { ...record, id: 'k7', tenant: 'caller' },
    ],
    { allowAnonymous, epochMs: () => 1_000 },
  );
};

test('a tenant publishes as the key of its highest class that is valid and may publish', () => {
  const keys = tenants(false);
  assert.deepEqual([keys.publisherOf('acme').keyId, keys.publisherOf('slow').keyId], ['k2', 'k5']);
});

test('of several keys of the highest class the newest publishes, in whatever order they came', () => {
  const old = { ...record, scopes: ['events'], id: 'k1', createdAt: 1 };
  const next = { ...old, id: 'k2', createdAt: 2 };
  for (const records of [
    [old, next],
    [next, old],
  ]) {
    const keys = new KeyRing(records, { allowAnonymous: false, epochMs: () => 0 });
    assert.equal(keys.publisherOf('acme').keyId, 'k2');
  }
});

test('a tenant whose keys have all expired publishes no more, nor does one whose keys may not', () => {
  for (const allowAnonymous of [true, false]) {
    const keys = tenants(allowAnonymous);
    assert.throws(() => keys.publisherOf('gone'), { code: 'UNAUTHENTICATED', reason: 'key_expired' });
    assert.throws(() => keys.publisherOf('caller'), { code: 'FORBIDDEN', message: /scope "events"/ });
  }
});

test('a tenant without any key publishes only where calls need none, and then as they do', () => {
  assert.deepEqual(tenants(true).publisherOf('other'), { ...ANONYMOUS, tenant: 'other' });
  assert.throws(() => tenants(false).publisherOf('other'), { code: 'UNAUTHENTICATED', reason: 'no_key' });
});

test('a stored record with a fault is refused, naming the field', () => {
  const faults: [over: object, field: RegExp][] = [
    [{ id: 'a_b' }, /keys\[0\]\.id/],
    [{ class: 'gold' }, /keys\[0\]\.class/],
    [{ sha256: 'x' }, /keys\[0\]\.sha256/],
    [{ tenant: 'a.b' }, /keys\[0\]\.tenant/],
    [{ scopes: 'infer' }, /keys\[0\]\.scopes/],
    [{ family: 'a_b' }, /keys\[0\]\.family/],
    [{ quota: 5 }, /keys\[0\]\.quota/],
    [{ quota: { costPerSecond: 0 } }, /keys\[0\]\.quota\.costPerSecond/],
    [{ quota: { requestsPerSecond: '5' } }, /keys\[0\]\.quota\.requestsPerSecond/],
    [{ weight: -1 }, /keys\[0\]\.weight/],
    [{ overQuota: 'raise' }, /keys\[0\]\.overQuota/],
    [{ expiresAt: 'soon' }, /keys\[0\]\.expiresAt/],
    [{ expires_at: 1_000 }, /keys\[0\]\.expires_at: expected the name expiresAt/],
  ];
  for (const [over, field] of faults) assert.throws(() => ring(over), { code: 'INVALID_REQUEST', message: field });
  assert.throws(() => new KeyRing(['k1'], { allowAnonymous: true, epochMs: () => 0 }), /keys\[0\]: expected an object/);
});

test('a record without scopes may infer, make jobs and publish', () => {
  const { scopes: _, ...bare } = record;
  assert.deepEqual(checkKeyRecord(bare, 'k1'), { ...bare, scopes: ['infer', 'jobs', 'events'] });
});
