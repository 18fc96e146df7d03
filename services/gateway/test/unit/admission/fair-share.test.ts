import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@spillway/testing/seeded-random';
import { FairRate } from '../../../src/core/admission/fair-rate.ts';
import { FleetDemand } from '../../../src/core/admission/fleet-demand.ts';
import { goalOf, pace } from '../../../src/core/admission/goal.ts';
import { tenantHash } from '../../../src/core/admission/tenant-hash.ts';
import { TenantTable } from '../../../src/core/admission/tenant-table.ts';
import { TenantWeights } from '../../../src/core/admission/tenant-weights.ts';
import { fairShare } from '../../../src/core/admission/water-filling.ts';

const demandsOf = (demand: number[], weight = demand.map(() => 1)) => ({
  demand: Float64Array.from(demand),
  weight: Float64Array.from(weight),
  count: demand.length,
});

test('who wants less than a fair share has it, the others share the rest by weight', () => {
  assert.equal(fairShare(demandsOf([1, 10, 10]), 9), 4);
  assert.equal(fairShare(demandsOf([1, 10, 10], [1, 3, 1]), 9), 2);
  assert.equal(fairShare(demandsOf([1, 2, 3]), 6), Number.POSITIVE_INFINITY);
  assert.equal(fairShare(demandsOf([]), 6), Number.POSITIVE_INFINITY);
  assert.equal(fairShare(demandsOf([1, 1]), 0), 0);
});

test('the fair rate hands out exactly the capacity, whatever the demands are', () => {
  const random = seededRandom(7);
  for (let round = 0; round < 300; round += 1) {
    const count = 1 + Math.floor(random() * 200);
    const demands = demandsOf(
      Array.from({ length: count }, () => Math.exp(10 * random() - 5)),
      Array.from({ length: count }, () => 0.1 + random()),
    );
    const capacity = demands.demand.reduce((a, b) => a + b) * random();
    const rate = fairShare(demands, capacity);
    const handedOut = demands.demand.reduce((sum, wanted, i) => sum + Math.min(wanted, rate * demands.weight[i]!), 0);
    assert.ok(Math.abs(handedOut - capacity) < 1e-6 * capacity, `${handedOut} of ${capacity}`);
  }
});

test('hashes of names are exact on the wire and differ for names that are alike', () => {
  const names = Array.from({ length: 20_000 }, (_, n) => `tenant-${n}`);
  const hashes = new Set(names.map(tenantHash));
  assert.equal(hashes.size, names.length);
  for (const hash of hashes) assert.ok(Number.isSafeInteger(hash) && hash >= 0 && hash < 2 ** 53);
  assert.equal(tenantHash('tenant-1'), tenantHash('tenant-1'));
});

/** A class that is congested from the start; `rates` is what each tenant offers, in ims per ms of requests of 1 ims. */
function congested(rates: Record<string, number>, capacity: number) {
  const table = new TenantTable();
  const fair = new FairRate(table, { burstMs: 100, random: seededRandom(3), nowMs: 0 });
  const demand = new FleetDemand();
  for (const [name, rate] of Object.entries(rates)) table.offered[table.slotOf(name, 1, 1)] = rate;
  const goal = { targetMs: 10, sharedMs: 25, limitMs: 80 };
  const fleet = { rank: 1, peers: [], share: 1, meanCost: 1, weights: new TenantWeights(), nowMs: 0 };
  demand.collect(table, fleet);
  const supply = { capacity, lately: 0, queueMs: 100, goal, pace: 1, meanCost: 1 };
  fair.plan(demand, supply, { nowMs: 0, inTime: false });
  return { table, fair };
}

test('a heavy tenant gets its rate, a light one all it wants', () => {
  const { table, fair } = congested({ heavy: 5, light: 0.2 }, 1);
  const got = { heavy: 0, light: 0 };
  for (let ms = 0; ms < 5_000; ms += 1) {
    for (const [name, every] of [
      ['heavy', 1],
      ['light', 5],
    ] as const) {
      if (ms % every !== 0) continue;
      const slot = table.slotOf(name, 1, 1);
      if (!fair.allows(slot, 1, ms)) continue;
      fair.take(slot, 1);
      got[name] += 1;
    }
  }
  assert.equal(got.light, 1_000);
  assert.ok(Math.abs(got.heavy - 4_000) < 20, `${got.heavy} of 0.8 a ms`);
});

test('a request larger than all that a tenant may save up goes through when it has waited long enough', () => {
  const { table, fair } = congested({ big: 5, other: 5 }, 0.01);
  const slot = table.slotOf('big', 1, 1);
  const admittedAt: number[] = [];
  for (let ms = 0; ms < 100_000; ms += 10) {
    if (!fair.allows(slot, 50, ms)) continue;
    fair.take(slot, 50);
    admittedAt.push(ms);
  }
  assert.ok(admittedAt.length >= 9 && admittedAt.length <= 11, `${admittedAt.length} of 50 ims at 0.005 a ms in 100 s`);
});

test('a tenant that is alone is not cut before its queue reaches what deadlines allow', () => {
  const table = new TenantTable();
  const fair = new FairRate(table, { burstMs: 100, random: () => 0.5, nowMs: 0 });
  const demand = new FleetDemand();
  table.offered[table.slotOf('alone', 1, 1)] = 3;
  demand.collect(table, { rank: 1, peers: [], share: 1, meanCost: 1, weights: new TenantWeights(), nowMs: 0 });
  const goal = { targetMs: 10, sharedMs: 25, limitMs: 80 };
  const supply = { capacity: 1, lately: 3, queueMs: 79, goal, pace: 0.5, meanCost: 1 };
  fair.plan(demand, supply, { nowMs: 0, inTime: true });
  assert.equal(fair.congested, false);
  fair.plan(demand, { ...supply, queueMs: 81 }, { nowMs: 50, inTime: true });
  assert.equal(fair.congested, true);
});

test('a congestion ends after a second without a cut, and nobody is left with a debt', () => {
  const { table, fair } = congested({ heavy: 5, light: 0.2 }, 1);
  const demand = new FleetDemand();
  table.offered.fill(0);
  demand.collect(table, { rank: 1, peers: [], share: 1, meanCost: 1, weights: new TenantWeights(), nowMs: 50 });
  const goal = { targetMs: 10, sharedMs: 25, limitMs: 80 };
  for (let tick = 1; tick <= 20; tick += 1) {
    const supply = { capacity: 1, lately: 0, queueMs: 0, goal, pace: 1.1, meanCost: 1 };
    fair.plan(demand, supply, { nowMs: 50 * tick, inTime: true });
  }
  assert.equal(fair.congested, false);
  assert.equal(fair.allows(0, 1e6, 1_001), true);
});

test('tenants that went away are forgotten, and a slot that moves takes its numbers along', () => {
  const table = new TenantTable();
  for (let n = 0; n < 100; n += 1) table.slotOf(`t${n}`, 1, 1);
  table.weight[table.slotOf('t99', 1, 1)] = 7;
  for (let tick = 0; tick < 700; tick += 1) {
    table.onOffered(table.slotOf('t99', 1, 1), 1, tick * 50);
    table.tick(50, 0.3, Number.POSITIVE_INFINITY, tick * 50);
  }
  assert.equal(table.count, 1);
  assert.equal(table.weight[table.slotOf('t99', 1, 1)], 7);
  assert.ok(Math.abs(table.offeredAt(table.slotOf('t99', 1, 1), 500) - 0.02) < 1e-6);
});

test('more tenants than are told apart share slots instead of memory', () => {
  const table = new TenantTable();
  for (let n = 0; n < 10_000; n += 1) {
    const slot = table.slotOf(`t${n}`, 1, 1);
    assert.ok(slot < 4_096);
  }
  assert.equal(table.count, 4_096);
});

test('the queue is kept shorter when deadlines are tight, and never longer than half a run', () => {
  const options = { usableMs: 140, runMs: 20, hopMs: 2, requestMs: 0.2, atFloor: false };
  assert.equal(goalOf(options).targetMs, 10);
  assert.ok(goalOf({ ...options, usableMs: 56 }).targetMs < 7);
  assert.equal(goalOf({ ...options, usableMs: 10 }).targetMs, 2);
  const { targetMs, sharedMs, limitMs } = goalOf({ ...options, usableMs: 3_500, runMs: 1_000, requestMs: 1_000 });
  assert.ok(targetMs <= sharedMs && sharedMs <= limitMs && sharedMs >= 1_500, 'one long request is no congestion');
});

test('a long queue halves the rate at most, an empty one raises it by a tenth at most', () => {
  const goal = { targetMs: 10, sharedMs: 25, limitMs: 80 };
  assert.equal(pace(1_000, goal, 20), 0.5);
  assert.equal(pace(10, goal, 20), 1);
  assert.ok(pace(0, goal, 20) > 1 && pace(0, goal, 20) <= 1.1);
});
