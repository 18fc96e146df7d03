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
const refused = { code: 'UNAUTHENTICATED', message: 'authorization: expected "Bearer" and a valid API key' };

test('a known key gives its tenant and class, the first time and later', () => {
  const keys = ring();
  const identity = { tenant: 'acme', trafficClass: 'vip', keyId: 'k1' };
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
  assert.throws(() => keys.identify(header), refused);
});

test('a call without a key is anonymous only where that is allowed', () => {
  assert.deepEqual(ring().identify(undefined), ANONYMOUS);
  assert.throws(() => ring({}, false).identify(undefined), refused);
});

test('a key has the scopes of its record, and a caller without a key has none', () => {
  const keys = ring({ scopes: ['infer', 'admin'] });
  assert.deepEqual(
    [keys.hasScope(keys.identify(header), 'admin'), keys.hasScope(keys.identify(undefined), 'admin')],
    [true, false],
  );
  const plain = ring();
  assert.equal(plain.hasScope(plain.identify(header), 'admin'), false);
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

test('a tenant known by its subject has the highest class of its valid keys, and is standard without one', () => {
  const keys = new KeyRing(
    [
      { ...record, id: 'k1', class: 'bulk' },
      { ...record, id: 'k2', class: 'standard' },
      { ...record, id: 'k3', class: 'vip', expiresAt: 1_000 },
      { ...record, id: 'k4', tenant: 'slow', class: 'bulk' },
    ],
    { allowAnonymous: true, epochMs: () => 1_000 },
  );
  assert.deepEqual(
    [keys.classOf('acme'), keys.classOf('slow'), keys.classOf('other')],
    ['standard', 'bulk', 'standard'],
  );
});

test('a stored record with a fault is refused, naming the field', () => {
  const faults: [over: object, field: RegExp][] = [
    [{ id: 'a_b' }, /keys\[0\]\.id/],
    [{ class: 'gold' }, /keys\[0\]\.class/],
    [{ sha256: 'x' }, /keys\[0\]\.sha256/],
    [{ tenant: 'a.b' }, /keys\[0\]\.tenant/],
    [{ scopes: 'infer' }, /keys\[0\]\.scopes/],
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

test('a record without scopes may infer', () => {
  const { scopes, ...bare } = record;
  assert.deepEqual(checkKeyRecord(bare, 'k1'), { ...bare, scopes });
});
