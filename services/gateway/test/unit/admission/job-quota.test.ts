import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyRecord } from '@spillway/contracts/buckets';
import { JobQuota } from '../../../src/core/admission/job-quota.ts';
import { START_MS, setUp } from './fixtures.ts';

const BULK = 2;

function quotaOf(over: Partial<KeyRecord>) {
  const admission = setUp();
  admission.setKey({ id: 'k', sha256: '', tenant: 't', class: 'standard', scopes: [], ...over });
  return { admission, jobs: new JobQuota(admission, () => 0.5) };
}

test('jobs use up the cost that their key may have, and are then refused until there is some again', () => {
  const { admission, jobs } = quotaOf({ quota: { costPerSecond: 100 } });
  assert.equal(jobs.decide('k', 1, START_MS).rung, 'run');
  jobs.charge('k', 'm', 400 / admission.imsOf('m', 1));
  const refused = jobs.decide('k', 1, START_MS);
  assert.deepEqual([refused.rung, refused.code, refused.reason], ['refused', 'QUOTA_EXCEEDED', 'quota']);
  assert.ok(refused.retryAfterMs > 0);
  assert.equal(admission.atDoor(1, 'k', START_MS)?.code, 'QUOTA_EXCEEDED', 'it is the quota of all requests');
  assert.equal(jobs.decide('k', 1, START_MS + 3_000).rung, 'run');
});

test('a key whose requests go on one class lower beyond its quota has its jobs do so', () => {
  const { jobs } = quotaOf({ quota: { costPerSecond: 100 }, overQuota: 'lower' });
  assert.equal(jobs.decide('k', 1, START_MS).rank, 1);
  jobs.charge('k', 'unknown', 1_000);
  const lowered = jobs.decide('k', 1, START_MS);
  assert.deepEqual([lowered.rung, lowered.rank], ['run', BULK]);
});

test('a key without a quota is not counted', () => {
  const { jobs } = quotaOf({});
  jobs.charge('k', 'm', 1e9);
  assert.equal(jobs.decide('k', 1, START_MS).rung, 'run');
  assert.equal(jobs.decide('', 1, START_MS).rung, 'run');
});
