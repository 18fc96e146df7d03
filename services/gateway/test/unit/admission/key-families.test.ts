import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyRecord } from '@spillway/contracts/buckets';
import { KeyQuota } from '../../../src/core/admission/key-quota.ts';
import { Quotas } from '../../../src/core/admission/quotas.ts';
import { TenantWeights } from '../../../src/core/admission/tenant-weights.ts';
import { putRateLimits } from '../../../src/core/rate-limit-fields.ts';
import { START_MS } from './fixtures.ts';

const key = (id: string, over: Partial<KeyRecord> = {}): KeyRecord => ({
  ...{ id, sha256: '', tenant: 't', class: 'vip', scopes: [], quota: { requestsPerSecond: 100 } },
  ...over,
});

/** Charges requests until the quota is used up. @returns how many there were. */
function drain(quotas: Quotas, id: string, nowMs: number): number {
  let charged = 0;
  for (const quota = quotas.get(id); quota !== undefined && !quota.isUsedUp(nowMs); charged += 1) quota.charge(1);
  return charged;
}

test('keys of one family use up one quota', () => {
  const quotas = new Quotas('g0');
  quotas.set(key('old', { createdAt: 1 }), START_MS);
  quotas.set(key('next', { createdAt: 2, family: 'old' }), START_MS);
  quotas.set(key('other'), START_MS);
  assert.equal(drain(quotas, 'old', START_MS), 200, 'a burst of two seconds');
  assert.deepEqual([drain(quotas, 'next', START_MS), drain(quotas, 'other', START_MS)], [0, 200]);
});

test('what was used stays used when a key joins its family, leaves it, or comes again as it was', () => {
  const quotas = new Quotas('g0');
  quotas.set(key('old'), START_MS);
  drain(quotas, 'old', START_MS);
  quotas.set(key('old', { expiresAt: 5 }), START_MS);
  quotas.set(key('next', { createdAt: 2, family: 'old' }), START_MS);
  assert.deepEqual([drain(quotas, 'old', START_MS), drain(quotas, 'next', START_MS)], [0, 0]);
  quotas.remove('old', START_MS);
  assert.equal(quotas.get('old'), undefined);
  assert.equal(drain(quotas, 'next', START_MS), 0);
});

test('the newest key of a family says what the quota is, in whatever order the keys come', () => {
  const old = key('old', { createdAt: 1 });
  const next = key('next', { createdAt: 2, family: 'old', quota: { requestsPerSecond: 5 } });
  for (const records of [
    [old, next],
    [next, old],
  ]) {
    const quotas = new Quotas('g0');
    for (const record of records) quotas.set(record, START_MS);
    assert.equal(drain(quotas, 'old', START_MS), 10);
  }
});

test('a key that changes its family leaves the quota of the former one', () => {
  const quotas = new Quotas('g0');
  quotas.set(key('a'), START_MS);
  quotas.set(key('b', { family: 'a' }), START_MS);
  quotas.set(key('b', { family: 'c', quota: { requestsPerSecond: 1 } }), START_MS);
  assert.deepEqual([drain(quotas, 'a', START_MS), drain(quotas, 'b', START_MS)], [200, 2]);
  quotas.set(key('b', { family: 'c', quota: {} }), START_MS);
  assert.equal(quotas.get('b'), undefined);
});

test('two vip keys of one family weigh as one promise', () => {
  const weights = new TenantWeights();
  const quota = { costPerSecond: 3_000 };
  weights.set(key('old', { quota }));
  weights.set(key('next', { quota, family: 'old' }));
  assert.equal(weights.of(0, 't'), 3);
  weights.set(key('other', { quota }));
  assert.equal(weights.of(0, 't'), 6);
});

test('the headers of a quota say its limit, what is left of it and when it is full again', () => {
  const quota = new KeyQuota('k', key('k', { quota: { requestsPerSecond: 100, costPerSecond: 0.05 } }), 1, START_MS);
  const read = (nowMs: number) => {
    const fields: [name: string, value: string][] = [];
    putRateLimits((...field) => void fields.push(field), quota, nowMs);
    return Object.fromEntries(fields) as Record<string, string>;
  };
  assert.deepEqual(read(START_MS), {
    'x-ratelimit-limit-requests': '200',
    'x-ratelimit-remaining-requests': '200',
    'x-ratelimit-reset-requests': '0s',
    'x-ratelimit-limit-cost': '1',
    'x-ratelimit-remaining-cost': '1',
    'x-ratelimit-reset-cost': '0s',
  });
  for (let n = 0; n < 50; n += 1) quota.charge(0);
  assert.equal(read(START_MS)['x-ratelimit-remaining-requests'], '150');
  assert.equal(read(START_MS)['x-ratelimit-reset-requests'], '500ms');
  for (let n = 0; n < 200; n += 1) quota.charge(0.02);
  assert.equal(read(START_MS)['x-ratelimit-remaining-requests'], '0');
  assert.equal(read(START_MS)['x-ratelimit-reset-requests'], '2.5s');
  assert.equal(read(START_MS)['x-ratelimit-reset-cost'], '1m20s');
  assert.equal(read(START_MS + 1_000)['x-ratelimit-remaining-requests'], '50');
});

test('the headers count all gateways: a share of a quota shows the whole', () => {
  const quota = new KeyQuota('k', key('k'), 0.25, START_MS);
  assert.equal(quota.isUsedUp(START_MS), false);
  quota.charge(1);
  assert.deepEqual(quota.requests(START_MS), { limit: 200, remaining: 196, resetMs: 40 });
  assert.equal(quota.cost(START_MS), undefined);
});
