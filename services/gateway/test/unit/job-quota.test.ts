import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyRecord } from '@spillway/contracts/buckets';
import type { SpillwayError } from '@spillway/errors/spillway-error';
import { Admission } from '../../src/core/admission/admission.ts';
import { JobQuota } from '../../src/core/job-quota.ts';
import type { InferRequest } from '../../src/core/request.ts';
import { mlp, request as requestOf } from './fixtures.ts';

const half = () => 0.5; // hints as they are

function quotasOf(over: Partial<KeyRecord>): { quotas: JobQuota; request: InferRequest } {
  const admission = new Admission({ instance: 'g1', random: half, nowMs: 0 });
  admission.setModel(mlp);
  admission.setKey({ id: 'k', sha256: '', tenant: 'acme', class: 'vip', scopes: ['events'], ...over });
  return { quotas: new JobQuota(admission, half), request: requestOf({ keyId: 'k', trafficClass: 'vip' }) };
}

const refusalOf = (work: () => unknown): SpillwayError | undefined => {
  try {
    work();
  } catch (thrown) {
    return thrown as SpillwayError;
  }
  return undefined;
};

test('events are charged until the quota is used up; each of the others gets a slot of its own, none behind a minute', () => {
  const { quotas, request } = quotasOf({ quota: { requestsPerSecond: 1 } }); // two at once
  quotas.charge(request, 1, 0);
  quotas.charge(request, 1, 0);
  assert.equal(refusalOf(() => quotas.charge(request, 1, 0))?.code, 'QUOTA_EXCEEDED');
  const hints = Array.from({ length: 50 }, () => refusalOf(() => quotas.check(request, 0))?.retryAfterMs ?? 0);
  assert.deepEqual(hints.slice(0, 3).map(Math.round), [4_000, 6_000, 8_000]);
  assert.equal(Math.max(...hints), 60_000);
  quotas.check(request, 1_001);
  quotas.charge(request, 1, 1_001);
});

test('what was charged for an event that did not become a job is given back', () => {
  const { quotas, request } = quotasOf({ quota: { costPerSecond: 0.5 } }); // one ms of an instance
  const giveBack = quotas.charge(request, 1, 0);
  assert.equal(refusalOf(() => quotas.check(request, 0))?.reason, 'quota');
  giveBack();
  quotas.check(request, 0);
});

test('a key that lowers lets events beyond its quota go on one class lower, uncharged', () => {
  const { quotas, request } = quotasOf({ quota: { requestsPerSecond: 0.5 }, overQuota: 'lower' });
  quotas.charge(request, 1, 0);
  assert.equal(request.trafficClass, 'vip');
  quotas.check(request, 0);
  quotas.charge(request, 1, 0);
  assert.equal(request.trafficClass, 'standard');
});

test('a tenant without a quota is bounded by none', () => {
  const { quotas, request } = quotasOf({});
  for (let i = 0; i < 1_000; i += 1) quotas.charge(request, 1, 0);
  quotas.check(request, 0);
});
