import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyRecord } from '../src/buckets.ts';
import { promisedToVip, vipProvisioning } from '../src/provisioning.ts';

const key = (over: Partial<KeyRecord>): KeyRecord => ({
  ...{ id: 'k', sha256: '', tenant: 't', class: 'vip', scopes: [] },
  ...over,
});

test('what is promised is the sum of the quotas of vip keys that are valid', () => {
  const keys = [
    key({ quota: { costPerSecond: 300 } }),
    key({ quota: { costPerSecond: 200 }, expiresAt: 1_001 }),
    key({ quota: { costPerSecond: 700 }, expiresAt: 1_000 }),
    key({ quota: { requestsPerSecond: 50 } }),
    key({ class: 'standard', quota: { costPerSecond: 900 } }),
    key({}),
  ].map((record, n) => ({ ...record, id: `k${n}` }));
  assert.equal(promisedToVip(keys, 1_000), 0.5);
});

test('two keys of one family are one promise', () => {
  const quota = { costPerSecond: 300 };
  assert.equal(promisedToVip([key({ quota }), key({ id: 'next', family: 'k', quota })], 1_000), 0.3);
});

test('four fifths of what is left without the largest worker may be promised', () => {
  const [verdict] = vipProvisioning(2.4, [{ model: 'm', capacity: 4, workers: 4 }]);
  assert.deepEqual(verdict, { model: 'm', promised: 2.4, limit: 0.8 * 3, holds: true, survivesLoss: true });
  assert.equal(vipProvisioning(2.41, [{ model: 'm', capacity: 4, workers: 4 }])[0]?.holds, false);
});

test('with one worker four fifths of its capacity may be promised, and nothing for the time without it', () => {
  const [verdict] = vipProvisioning(1.7, [{ model: 'm', capacity: 2, workers: 1 }]);
  assert.deepEqual(verdict, { model: 'm', promised: 1.7, limit: 1.6, holds: false, survivesLoss: false });
});

test('every model is held against the whole promise, the tightest first', () => {
  const verdicts = vipProvisioning(1, [
    { model: 'wide', capacity: 4, workers: 2 },
    { model: 'narrow', capacity: 1, workers: 1 },
  ]);
  assert.deepEqual(
    verdicts.map(({ model, holds }) => [model, holds]),
    [
      ['narrow', false],
      ['wide', true],
    ],
  );
});
