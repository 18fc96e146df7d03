import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@spillway/testing/seeded-random';
import { CpuGuard } from '../../../src/core/admission/cpu-guard.ts';

const flood = (lagMs: number, excess = 5) => ({ lagMs, utilization: 1, starved: 0, isFlood: true, excess });
const calm = (lagMs: number) => ({ lagMs, utilization: 1, starved: 0, isFlood: false, excess: 0.5 });
/** Others have the processor for half of the time. */
const starved = (lagMs: number, excess: number) => ({ ...flood(lagMs, excess), starved: 0.5 });
const newGuard = () => {
  const guard = new CpuGuard(seededRandom(1));
  guard.deadlineMs = 200;
  return guard;
};

test('a loop that stays late in a flood lets fewer and fewer on, and all again when it is in time', () => {
  const guard = newGuard();
  for (const lagMs of [0, 12, 24, 36, 48, 60]) guard.observe(flood(lagMs));
  assert.ok(guard.share < 0.2);
  for (let i = 0; i < 60; i += 1) guard.observe(flood(0));
  assert.equal(guard.share, 1);
});

test('one pause of the collector refuses nobody', () => {
  const guard = newGuard();
  for (const lagMs of [0, 80, 30, 8, 0, 0, 60, 0]) guard.observe(flood(lagMs));
  assert.equal(guard.share, 1);
});

test('a loop that is late because others have the processor refuses nobody', () => {
  const guard = newGuard();
  for (let i = 0; i < 50; i += 1) guard.observe({ ...flood(20 + 5 * i), utilization: 0.3 });
  assert.equal(guard.share, 1);
  assert.ok(guard.lagMs <= 25, 'nor does prediction');
});

test('what the models could serve is let on, when the loop is late by others and by a number that stays', () => {
  const guard = newGuard();
  guard.deadlineMs = 5_000;
  for (const lagMs of [0, 12, 24, 36, 48, 60]) guard.observe(flood(lagMs));
  assert.ok(guard.share < 0.2);
  for (let i = 0; i < 60; i += 1) guard.observe(starved(60 + (i % 3), 1.1));
  assert.equal(guard.share, 1);
});

test('unless it is later and later: then the processor cannot even do that', () => {
  const guard = newGuard();
  let lagMs = 10;
  for (let i = 0; i < 20; i += 1) {
    guard.observe(starved(lagMs, 1.1));
    lagMs *= 1.2;
  }
  assert.ok(guard.share < 0.2, `${guard.share}`);
});

test('callers of a closed loop who come back at once when they are refused do not keep a model from what it can serve', () => {
  const guard = newGuard();
  guard.deadlineMs = 5_000;
  const [clients, perTurn, boundOfQueue] = [512, 20, 200]; // a turn of 20 ms serves twenty, and 400 of those that were refused come back
  let queue = 0;
  let served = 0;
  let passed = perTurn;
  guard.share = 0.02;
  for (let turn = 0; turn < 500; turn += 1) {
    const asking = Math.min(400, clients - queue);
    let passing = 0;
    for (let i = 0; i < asking; i += 1) {
      if (!guard.allows(1)) continue;
      passing += 1;
      if (queue >= boundOfQueue) continue; // admission itself says no
      guard.onAdmitted();
      queue += 1;
    }
    const done = Math.min(queue, perTurn);
    queue -= done;
    if (turn >= 100) served += done;
    passed += 0.1 * (passing - passed);
    guard.observe(starved(30 + (turn % 4), passed / perTurn));
  }
  assert.ok(served >= 0.97 * 400 * perTurn, `${served} of ${400 * perTurn}`);
});

test('vip always goes on, and bulk pays before standard', () => {
  const guard = newGuard();
  const passed = [0, 0, 0];
  for (let i = 0; i < 2_000; i += 1) {
    if (i % 20 === 0) guard.observe(flood(i < 40 ? i / 2 : 4.9));
    guard.share = 0.7;
    for (const rank of [0, 1, 1, 2]) if (guard.allows(rank)) passed[rank]! += 1;
  }
  assert.equal(passed[0], 2_000);
  assert.ok(passed[1]! > 3_900, `standard ${passed[1]}`);
  assert.ok(passed[2]! < 400, `bulk ${passed[2]}`);
});

/** A turn of the loop handles everything that has arrived; its length is the lag that a timer sees. */
function turns(options: {
  clients: number;
  perMs: number;
  forMs: number;
  acceptMs: number;
  refuseMs: number;
  deadlineMs?: number;
}) {
  const guard = newGuard();
  guard.deadlineMs = options.deadlineMs ?? 5_000;
  let backlog = options.clients;
  let nowMs = 0;
  let sampleMs = 20;
  const counts = { refused: 0, vip: 0, worstTurnMs: 0, lateMs: 0 };
  for (let n = 0; nowMs < options.forMs; n += 1) {
    let turnMs = 0;
    for (let i = 0; i < backlog; i += 1) {
      const rank = (n + i) % 20 === 0 ? 0 : 1;
      if (guard.allows(rank)) {
        turnMs += options.acceptMs;
        if (rank === 0) counts.vip += 1;
        else guard.onAdmitted();
      } else {
        turnMs += options.refuseMs;
        counts.refused += 1;
      }
    }
    turnMs = Math.max(0.5, turnMs);
    nowMs += turnMs;
    counts.worstTurnMs = Math.max(counts.worstTurnMs, turnMs);
    if (nowMs > options.forMs / 2) counts.lateMs = Math.max(counts.lateMs, turnMs);
    backlog = options.clients + Math.round(options.perMs * turnMs);
    if (nowMs < sampleMs) continue;
    guard.observe(calm(Math.max(0, nowMs - sampleMs)));
    sampleMs = nowMs + 20;
  }
  return counts;
}

test('a closed loop makes the loop late by its number and is never refused', () => {
  for (const clients of [64, 128, 256, 512, 1_024]) {
    const { refused } = turns({ clients, perMs: 0, forMs: 5_000, acceptMs: 0.05, refuseMs: 0.03 });
    assert.equal(refused, 0, `${clients} clients`);
  }
});

test('three times what the processor can do, from callers that do not wait: turns stay bounded and vip gets through', () => {
  const { worstTurnMs, lateMs, refused, vip } = turns({
    clients: 0,
    perMs: 60,
    forMs: 5_000,
    acceptMs: 0.05,
    refuseMs: 0.004,
    deadlineMs: 1_000,
  });
  assert.ok(refused > 100_000);
  assert.ok(vip > 13_000, `${vip} of 15,000 vip`);
  assert.ok(worstTurnMs < 2_000 && lateMs < 500, `${worstTurnMs}, later ${lateMs}`);
});
