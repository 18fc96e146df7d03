import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Lever } from '@spillway/contracts/buckets';
import { LeverSet, readLever } from '../../src/core/lever-set.ts';

const brake = { id: 'b1', kind: 'brake', share: 0.5, createdAt: 0, expiresAt: 1_000, by: 'me@here' } as const;
const degrade = { id: 'd1', kind: 'degrade', to: 'lite', model: 'm', createdAt: 0, expiresAt: 2_000, by: 'x' } as const;

function setOf(...levers: Lever[]): LeverSet {
  const set = new LeverSet();
  for (const lever of levers) set.put(lever);
  return set;
}

test('a lever counts until its end and not at it, and is over once', () => {
  const set = setOf(brake, degrade);
  assert.deepEqual(set.active(999), [brake, degrade]);
  assert.deepEqual(set.takeExpired(999), []);
  assert.deepEqual(set.active(1_000), [degrade]);
  assert.deepEqual(set.takeExpired(1_000), [brake]);
  assert.deepEqual(set.takeExpired(1_000), []);
});

test('the next end is the earliest of those that are there', () => {
  const set = setOf(brake, degrade);
  assert.equal(set.nextEndAt(), 1_000);
  set.remove('b1');
  assert.equal(set.nextEndAt(), 2_000);
  set.remove('d1');
  assert.equal(set.nextEndAt(), undefined);
});

test('an entry that is no lever, or is one of another id, is not read', () => {
  const wrong: object[] = [
    { ...brake, id: 'b2' },
    { ...brake, share: 1.1 },
    { ...brake, share: undefined },
    { ...brake, rate: 5 },
    { ...brake, share: undefined, rate: -1 },
    { ...brake, expiresAt: undefined },
    { ...brake, kind: 'open' },
    { ...brake, class: 'gold' },
    { ...brake, tenant: 'a.b' },
    { ...brake, kind: 'degrade' },
  ];
  for (const value of wrong) assert.equal(readLever('b1', value), undefined, JSON.stringify(value));
  assert.equal(readLever('b1', 'brake'), undefined);
  assert.equal(readLever('b1', brake), brake);
  assert.equal(readLever('d1', degrade), degrade);
});
