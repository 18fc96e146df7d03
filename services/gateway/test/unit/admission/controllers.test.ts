import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@spillway/testing/seeded-random';
import { BrownOut } from '../../../src/core/admission/brown-out.ts';
import { BudgetMix } from '../../../src/core/admission/budget-mix.ts';
import { applyLevel, newEffects } from '../../../src/core/admission/effects.ts';
import { LowQuantile } from '../../../src/core/admission/low-quantile.ts';
import { nextSlot, outageHintMs, overloadHintMs } from '../../../src/core/admission/retry-after.ts';
import { TokenBucket } from '../../../src/core/admission/token-bucket.ts';
import { WorstOfLate } from '../../../src/core/admission/worst-of-late.ts';

const LEVELS = [1, 1.5, 2, 3];

/** Pressure over time, 50 ms a step. */
function hold(brownOut: BrownOut, pressure: number, fromMs: number, forMs: number): number {
  for (let ms = fromMs; ms < fromMs + forMs; ms += 50) brownOut.update(pressure, ms);
  return fromMs + forMs;
}

test('a level is entered after 300 ms of pressure, one level a step, and left after 5 s below six tenths of it', () => {
  const brownOut = new BrownOut(LEVELS, 0);
  let nowMs = hold(brownOut, 5, 0, 250);
  assert.equal(brownOut.level, 0);
  nowMs = hold(brownOut, 5, nowMs, 150);
  assert.equal(brownOut.level, 1);
  nowMs = hold(brownOut, 5, nowMs, 400);
  assert.equal(brownOut.level, 4);
  nowMs = hold(brownOut, 0.5, nowMs, 4_900);
  assert.equal(brownOut.level, 4);
  hold(brownOut, 0.5, nowMs, 700);
  assert.equal(brownOut.level, 0);
});

test('waves of 2 s change no level back and forth', () => {
  const brownOut = new BrownOut(LEVELS, 0);
  let nowMs = hold(brownOut, 2.5, 0, 2_000);
  const { level } = brownOut;
  for (let wave = 0; wave < 10; wave += 1) {
    nowMs = hold(brownOut, 0.5, nowMs, 2_000);
    nowMs = hold(brownOut, 2.5, nowMs, 2_000);
    assert.equal(brownOut.level, level);
  }
});

test('lighter variants stand in for all within a second or so, and for nobody 10 s after the flood', () => {
  const brownOut = new BrownOut(LEVELS, 0);
  let nowMs = hold(brownOut, 2.5, 0, 1_700);
  assert.equal(brownOut.lighterShare, 1);
  nowMs = hold(brownOut, 1.5, nowMs, 3_000);
  assert.equal(brownOut.lighterShare, 1, 'between the marks it stays');
  hold(brownOut, 0.7, nowMs, 9_500);
  assert.equal(brownOut.lighterShare, 0);
});

test('each level keeps what the lower ones switched', () => {
  const effects = newEffects();
  applyLevel(effects, 2);
  assert.deepEqual([effects.hedgesOff, effects.traceDivisor, effects.staleAllowed], [true, 10, true]);
  assert.deepEqual([effects.bulkToTicket, effects.connectionsLimited], [false, false]);
  applyLevel(effects, 0);
  assert.deepEqual(effects, newEffects());
});

test('a bucket serves what is larger than its burst, and holds its rate', () => {
  const bucket = new TokenBucket({ perMs: 1, burst: 100, nowMs: 0 });
  let taken = 0;
  for (let ms = 0; ms < 10_000; ms += 1) {
    if (!bucket.hasAny(ms)) continue;
    bucket.take(250);
    taken += 250;
  }
  assert.ok(taken >= 10_000 && taken <= 10_400, `${taken}`);
});

test('a share of a bucket has its part of rate and burst', () => {
  const bucket = new TokenBucket({ perMs: 1, burst: 100, nowMs: 0 });
  bucket.setShare(0.2, 0);
  assert.equal(bucket.waitMs(20, 0), 0);
  assert.equal(bucket.waitMs(40, 0), 100);
});

test('refused requests are told slots one after another, none beyond a minute', () => {
  let slotMs = 0;
  const told: number[] = [];
  for (let n = 0; n < 5; n += 1) {
    slotMs = nextSlot(slotMs, 1, 0.02, 1_000);
    told.push(slotMs);
  }
  assert.deepEqual(told, [1_100, 1_200, 1_300, 1_400, 1_500]);
  assert.equal(nextSlot(0, 1, 0, 1_000), 61_000);
});

test('hints are spread by a quarter and never shorter than they can be', () => {
  const random = seededRandom(2);
  const hints = Array.from({ length: 1_000 }, () => overloadHintMs(1_000, random));
  assert.ok(Math.min(...hints) >= 750 && Math.max(...hints) <= 1_250);
  assert.ok(overloadHintMs(-50, () => 0) >= 150);
  assert.ok(outageHintMs(60_000, () => 0.999) <= 3_000);
});

test('the 10th percentile of mixed deadlines is the tight one, and follows when they change', () => {
  const quantile = new LowQuantile(5_000);
  const random = seededRandom(4);
  for (let n = 0; n < 2_000; n += 1) quantile.observe(random() < 0.5 ? 80 : 400);
  assert.ok(quantile.value >= 70 && quantile.value <= 100, `${quantile.value}`);
  for (let n = 0; n < 5_000; n += 1) quantile.observe(400);
  assert.equal(quantile.value, 400);
});

test('the mix of budgets says how much has a deadline before a time, and forgets', () => {
  const mix = new BudgetMix();
  mix.tick();
  assert.equal(mix.upTo(1), 1, 'while nothing is known all of it may go first');
  mix.admitted(400, 30);
  mix.admitted(80, 10);
  mix.tick();
  assert.deepEqual([mix.upTo(20), mix.upTo(80), mix.upTo(300), mix.upTo(400), mix.upTo(10_000)], [0, 0.25, 0.25, 1, 1]);
  for (let n = 0; n < 60; n += 1) {
    mix.admitted(80, 1);
    mix.tick();
  }
  assert.ok(mix.upTo(80) > 0.9);
  mix.admitted(0.1, 1);
  mix.admitted(1e9, 1);
  mix.tick();
  assert.equal(mix.upTo(1e9), 1);
});

test('one stall is not the worst of late, several are, and they are forgotten', () => {
  const worst = new WorstOfLate();
  for (let ms = 0; ms < 2_000; ms += 50) worst.observe(ms === 500 ? 900 : 1, ms);
  assert.equal(worst.value, 1);
  worst.observe(30, 2_000);
  assert.equal(worst.value, 30);
  for (let ms = 2_050; ms < 9_000; ms += 50) worst.observe(1, ms);
  assert.equal(worst.value, 1);
});
