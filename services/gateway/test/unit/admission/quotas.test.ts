import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyRecord, Lever } from '@spillway/contracts/buckets';
import type { Admission } from '../../../src/core/admission/admission.ts';
import { model, offer, START_MS, setUp, waiting } from './fixtures.ts';

const key = (over: Partial<KeyRecord> = {}): KeyRecord => ({
  id: 'k',
  sha256: '',
  tenant: 't',
  class: 'vip',
  scopes: [],
  ...over,
});
const lever = (over: object): Lever =>
  ({ id: 'l', createdAt: 0, expiresAt: 60_000, by: 'me', kind: 'brake', ...over }) as Lever;

/** Requests of a key, one each ms. */
function send(admission: Admission, forMs: number, over = {}, fromMs = START_MS) {
  const reasons: Record<string, number> = {};
  const ranks = [0, 0, 0];
  for (let ms = fromMs; ms < fromMs + forMs; ms += 1) {
    const decision = admission.atDoor(0, 'k', ms) ?? offer(admission, ms, { keyId: 'k', rank: 0, ...over });
    if (decision.rung === 'refused') reasons[decision.reason] = (reasons[decision.reason] ?? 0) + 1;
    else ranks[decision.rank]! += 1;
    if (ms % 50 === 0) admission.tick(ms);
  }
  return { reasons, ranks };
}

test('a key gets its requests per second and a burst of two seconds, then QUOTA_EXCEEDED with a time', () => {
  const admission = setUp();
  admission.setKey(key({ quota: { requestsPerSecond: 100 } }));
  const { ranks, reasons } = send(admission, 5_000);
  assert.ok(Math.abs(ranks[0]! - 700) <= 7, `${ranks[0]}`);
  assert.deepEqual(Object.keys(reasons), ['quota']);
  const refusal = admission.atDoor(0, 'k', START_MS + 5_000);
  assert.equal(refusal?.code, 'QUOTA_EXCEEDED');
  assert.ok((refusal?.retryAfterMs ?? 0) >= 150);
});

test('a quota in cost counts what requests cost, and what was refused for another reason costs nothing', () => {
  const admission = setUp();
  admission.setKey(key({ quota: { costPerSecond: 125 } })); // 200 rows a second
  const { ranks } = send(admission, 5_000);
  assert.ok(Math.abs(ranks[0]! - 1_400) <= 14, `${ranks[0]}`);
  const full = setUp({ batcher: { backlog: waiting(8_000) } });
  full.setKey(key({ quota: { costPerSecond: 1 } }));
  assert.equal(offer(full, START_MS, { keyId: 'k', rank: 0, rows: 4, cost: 4 }).reason, 'queue_bound');
  assert.equal(full.atDoor(0, 'k', START_MS), undefined);
});

test('beyond its quota a key that says so goes on one class lower', () => {
  const admission = setUp();
  admission.setKey(key({ quota: { requestsPerSecond: 100 }, overQuota: 'lower' }));
  const { ranks, reasons } = send(admission, 2_000);
  assert.deepEqual(reasons, {});
  assert.ok(ranks[0]! < 420 && ranks[1]! > 1_500);
});

test('a key without a quota, and one that was removed, is bounded by none', () => {
  const admission = setUp();
  admission.setKey(key({ quota: { requestsPerSecond: 1 } }));
  admission.setKey(key({}));
  assert.deepEqual(send(admission, 500).reasons, {});
  admission.setKey(key({ quota: { requestsPerSecond: 1 } }));
  admission.removeKey('k');
  assert.deepEqual(send(admission, 500, {}, START_MS + 500).reasons, {});
});

test('a brake lets a share or a rate go on, within its scope, until it ends', () => {
  const admission = setUp();
  admission.setLevers([lever({ share: 0.25, class: 'vip', expiresAt: 10_000 })], 0, START_MS);
  const braked = send(admission, 2_000);
  assert.ok(Math.abs(braked.ranks[0]! - 500) < 100, `${braked.ranks[0]}`);
  assert.deepEqual(Object.keys(braked.reasons), ['brake']);
  assert.equal(admission.atDoor(1, '', START_MS + 2_000), undefined, 'other classes go on');
  assert.deepEqual(send(admission, 500, {}, START_MS + 10_000).reasons, {}, 'it has ended');
  admission.setLevers([lever({ rate: 100, model: 'm', tenant: 't' })], 0, START_MS + 10_500);
  const rated = send(admission, 3_000, {}, START_MS + 10_500);
  assert.ok(Math.abs(rated.ranks[0]! - 400) <= 10, `${rated.ranks[0]}`);
  assert.equal(offer(admission, START_MS + 13_500, { tenant: 'another' }).rung, 'run');
});

test('a brake of nothing lets nothing on', () => {
  const admission = setUp();
  admission.setLevers([lever({ share: 0 })], 0, START_MS);
  assert.deepEqual(send(admission, 100).ranks, [0, 0, 0]);
});

test('a degrade lever gives its variant to everybody in its scope', () => {
  const runTimes = [
    { variant: '', baseMs: 4, rowMs: 0.5, cv: 0 },
    { variant: 'lite', baseMs: 1, rowMs: 0.1, cv: 0 },
  ];
  const admission = setUp({ batcher: { runTimes } });
  admission.setLevers([lever({ kind: 'degrade', model: 'm', to: 'lite' })], 0, START_MS);
  const decision = offer(admission, START_MS);
  assert.deepEqual([decision.rung, decision.variant], ['degraded', 'lite']);
  assert.ok(decision.costIms < 0.2);
});

test("a model's own limits hold whatever it could serve", () => {
  const admission = setUp({ record: { ...model, limits: { rate: 100 } } });
  const { ranks, reasons } = send(admission, 3_000);
  assert.ok(Math.abs(ranks[0]! - 400) <= 10, `${ranks[0]}`);
  assert.deepEqual(Object.keys(reasons), ['limit']);
  const few = setUp({ record: { ...model, limits: { maxInFlight: 3 } } });
  for (let n = 0; n < 3; n += 1) assert.equal(offer(few, START_MS).rung, 'run');
  assert.equal(offer(few, START_MS).reason, 'limit');
  few.ended('m');
  assert.equal(offer(few, START_MS).rung, 'run');
});

test('a gateway can bound what its doors let in', () => {
  const settings = { doorRate: [Number.POSITIVE_INFINITY, 100, 100] };
  const admission = setUp({ settings });
  let passed = 0;
  for (let ms = 0; ms < 2_000; ms += 1) if (admission.atDoor(1, '', START_MS + ms) === undefined) passed += 1;
  assert.ok(Math.abs(passed - 300) <= 3, `${passed}`);
  assert.equal(admission.atDoor(0, '', START_MS + 2_000), undefined);
});
