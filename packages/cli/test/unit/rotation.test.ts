import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyRecord } from '@spillway/contracts/buckets';
import { rotate } from '../../src/keys/rotation.ts';

const HOUR_MS = 3_600_000;
const old: KeyRecord = {
  ...{ id: 'old', sha256: 'ab', tenant: 'acme', class: 'vip', scopes: ['infer'], createdAt: 1_000 },
  ...{ quota: { costPerSecond: 500 }, weight: 2, overQuota: 'lower' },
};
const options = { id: 'next', overlapMs: 24 * HOUR_MS, lifeMs: undefined, epochMs: 5_000 };

test('the successor has everything of the old record but its id and secret, and the same family', () => {
  const { next, old: ends } = rotate(old, [old], options);
  const { sha256: _, ...kept } = old;
  assert.deepEqual(next, { ...kept, id: 'next', family: 'old', createdAt: 5_000 });
  assert.deepEqual(ends, { ...old, expiresAt: 5_000 + 24 * HOUR_MS });
});

test('a successor of a successor is of the first family', () => {
  const second = { ...old, id: 'second', family: 'old', createdAt: 2_000 };
  assert.equal(rotate(second, [old, second], options).next.family, 'old');
});

test('the old key never lives longer for it, and the new one as long as the old one was given', () => {
  const short = { ...old, expiresAt: 1_000 + 2 * HOUR_MS };
  const { next, old: ends } = rotate(short, [short], options);
  assert.equal(ends.expiresAt, short.expiresAt);
  assert.equal(next.expiresAt, 5_000 + 2 * HOUR_MS);
  assert.equal(rotate(short, [short], { ...options, lifeMs: HOUR_MS }).next.expiresAt, 5_000 + HOUR_MS);
});

test('a key that has expired, or has a successor, is not rotated', () => {
  assert.throws(() => rotate({ ...old, expiresAt: 5_000 }, [], options), /"old" has expired/);
  const next = { ...old, id: 'next', family: 'old', createdAt: 2_000 };
  assert.throws(() => rotate(old, [next, old], options), /"old" was rotated to "next" already/);
});
