import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { ANONYMOUS, type KeyRecord, KeyRing } from '../../src/core/identity.ts';

const secret = 'a'.repeat(43);
const record: KeyRecord = {
  id: 'k1',
  sha256: createHash('sha256').update(secret).digest('hex'),
  tenant: 'acme',
  class: 'vip',
};
const ring = (over: Partial<KeyRecord> = {}, allowAnonymous = true, now = 0) =>
  new KeyRing([{ ...record, ...over }], { allowAnonymous, epochMs: () => now });
const refused = { code: 'UNAUTHENTICATED', message: 'authorization: expected "Bearer" and a valid API key' };

test('a known key gives its tenant and class', () => {
  assert.deepEqual(ring().identify(`Bearer sk_k1_${secret}`), { tenant: 'acme', trafficClass: 'vip', keyId: 'k1' });
});

test('every bad key is refused with the same code and text', () => {
  const keys = ring();
  for (const bad of [
    `Bearer sk_k1_${'b'.repeat(43)}`,
    `Bearer sk_k2_${secret}`,
    `Basic sk_k1_${secret}`,
    'Bearer',
    'Bearer x',
    `sk_k1_${secret}`,
  ]) {
    assert.throws(() => keys.identify(bad), refused, bad);
  }
});

test('an expired key is refused', () => {
  assert.throws(() => ring({ expires_at: 1_000 }, true, 1_000).identify(`Bearer sk_k1_${secret}`), refused);
});

test('a call without a key is anonymous only where that is allowed', () => {
  assert.deepEqual(ring().identify(undefined), ANONYMOUS);
  assert.throws(() => ring({}, false).identify(undefined), refused);
});

test('a tenant known by its subject has the highest class of its valid keys, and is standard without one', () => {
  const keys = new KeyRing(
    [
      { ...record, id: 'k1', class: 'bulk' },
      { ...record, id: 'k2', class: 'standard' },
      { ...record, id: 'k3', class: 'vip', expires_at: 1_000 },
      { ...record, id: 'k4', tenant: 'slow', class: 'bulk' },
    ],
    { allowAnonymous: true, epochMs: () => 1_000 },
  );
  assert.deepEqual(
    [keys.classOf('acme'), keys.classOf('slow'), keys.classOf('other')],
    ['standard', 'bulk', 'standard'],
  );
});

test('a stored record with a fault is refused at start, naming the field', () => {
  assert.throws(() => ring({ class: 'gold' }), /keys\[0\].class/);
  assert.throws(() => ring({ sha256: 'x' }), /keys\[0\].sha256/);
  assert.throws(() => ring({ tenant: 'a.b' }), /keys\[0\].tenant/);
});
