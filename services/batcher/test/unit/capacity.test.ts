import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { Capacity } from '../../src/core/capacity.ts';
import { Slot } from '../../src/core/slot.ts';
import { served } from './fixtures.ts';

const RULES = { shortestDeadlineMs: 1_000, slowStartMs: 0 };

const FULL = { fullRows: 32, short: true, idleMs: 0 };

const near = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 1e-9, `expected ${expected}, got ${actual}`);

const slotOf = (runMsFull: number, slots = 1, grown = true) => {
  const clock = new ManualClock();
  const slot = new Slot(clock, 'w', served('m', { maxBatchSize: 32, runMsOne: runMsFull / 32, runMsFull, slots }));
  slot.granted(2, 100);
  for (const instance of grown ? slot.instances : []) {
    for (let i = 0; i < 3; i += 1) {
      instance.sent(1, 0);
      instance.ended({ predictedMs: 1, runMs: 1, ran: true, nowMs: 0 });
    }
  }
  return slot;
};

const seen = (refusing: boolean, demand = 5) => ({ refusing, demand, hopMs: 2, othersMs: 0 });

/** A capacity that saw `fill` of a full batch and this wait, and corrects itself once. */
const corrected = (fields: {
  refusing?: boolean;
  fill?: number;
  short?: boolean;
  waitMs?: number;
  left?: number;
  idleMs?: number;
  demand?: number;
}) => {
  const { refusing = true, fill = 1, short = true, waitMs = 0, left = 100, idleMs = 0, demand = 5 } = fields;
  const capacity = new Capacity(true);
  capacity.measure([slotOf(20)], RULES, 0);
  capacity.correct(seen(false), 0);
  capacity.ended(32 * fill, { fullRows: 32, short, idleMs });
  capacity.observeDeadline(400);
  capacity.waited(left, waitMs);
  capacity.correct(seen(refusing, demand), 100);
  return capacity.gamma;
};

test('capacity is the sum of the instances, each by its own time for a full batch', () => {
  const capacity = new Capacity(true);
  capacity.measure([slotOf(20), slotOf(40, 2)], RULES, 0);
  near(capacity.raw, 2);
  assert.deepEqual([capacity.healthy, capacity.suspect], [3, 0]);
  assert.deepEqual([capacity.operatingRows, capacity.runMs], [32, 20]);
});

test('a suspect instance leaves at once, and so does a worker that only says hello or leaves', () => {
  const capacity = new Capacity(true);
  const [slot, leaving, visitor] = [slotOf(20, 2), slotOf(20), new Slot(new ManualClock(), 'v', served('m'))];
  const [suspect] = slot.instances;
  assert.ok(suspect);
  suspect.suspect = true;
  leaving.leaving = true;
  capacity.measure([slot, leaving, visitor], RULES, 0);
  near(capacity.raw, 1);
  assert.deepEqual([capacity.healthy, capacity.suspect], [1, 1]);
});

test('a new executor counts as much as its small batches can do', () => {
  const capacity = new Capacity(true);
  const clock = new ManualClock();
  const slot = new Slot(clock, 'w', served('m', { maxBatchSize: 32, runMsOne: 4.5, runMsFull: 20 }));
  slot.granted(2, 100);
  capacity.measure([slot], RULES, clock.now());
  near(capacity.raw, 8 / 8 / (32 / 20));
});

test('a full batch is one that takes less than two fifths of the shortest deadline', () => {
  const capacity = new Capacity(true);
  capacity.measure([slotOf(320)], { ...RULES, shortestDeadlineMs: 400 }, 0);
  assert.ok(capacity.operatingRows < 16 && capacity.operatingRows >= 13, `${capacity.operatingRows}`);
  assert.ok(capacity.runMs <= 160);
});

test('while gateways refuse, batches that are not full raise it, by ten per cent at most', () => {
  near(corrected({ fill: 0.75 }), 1.05);
  near(corrected({ fill: 0.1 }), 1.1);
  near(corrected({ fill: 0.96 }), 1);
});

test('a small batch behind which others wait is no sign of too little work', () => {
  near(corrected({ fill: 0.1, short: false }), 1);
});

test('small batches while little is asked for say nothing: the flood is over and its refusals still count', () => {
  near(corrected({ fill: 0.3, demand: 0.9 }), 1);
  near(corrected({ fill: 0.3, demand: 1 }), 1.1);
});

test('while gateways refuse, a wait that never gets short lowers it', () => {
  near(corrected({ waitMs: 21 }), 0.97); // twice half a full batch
  near(corrected({ waitMs: 19 }), 1);
});

test('full batches with pauses between them raise it as small ones do', () => {
  near(corrected({ idleMs: 20 / 3 }), 1.05); // a third of a run without work: 1 of 4/3
  near(corrected({ idleMs: 1 }), 1);
  near(corrected({ idleMs: 20, demand: 0.9 }), 1);
});

test('requests that fill a batch each wait for each other, which is no standing queue', () => {
  near(corrected({ waitMs: 35, left: 8 }), 1); // one leaves each 12.5 ms: aimed at are 18.75
  near(corrected({ waitMs: 38, left: 8 }), 0.97);
});

test('of a few requests the least wait is chance: more are awaited', () => {
  const capacity = new Capacity(true);
  capacity.measure([slotOf(20)], RULES, 0);
  capacity.correct(seen(false), 0);
  const period = (nowMs: number) => {
    capacity.ended(32, FULL);
    capacity.waited(3, 400);
    capacity.observeDeadline(500);
    capacity.correct(seen(true), nowMs);
    return capacity.gamma;
  };
  near(period(100), 1);
  near(period(200), 1);
  near(period(300), 0.97);
});

test('a wait behind a run of another model on the same worker is no sign of too much work', () => {
  const capacity = new Capacity(true);
  capacity.measure([slotOf(20)], RULES, 0);
  capacity.ended(32, FULL);
  capacity.waited(100, 200);
  capacity.correct({ ...seen(true), othersMs: 200 }, 100);
  near(capacity.gamma, 1);
});

test('with short deadlines the wait that is too long is shorter', () => {
  const capacity = new Capacity(true);
  capacity.measure([slotOf(20)], RULES, 0);
  capacity.ended(32, FULL);
  for (let i = 0; i < 100; i += 1) capacity.observeDeadline(i % 5 === 0 ? 60 : 400);
  capacity.waited(100, 11); // ½ · (0.7 · 60 − 1.5 · 20 − 2) = 5
  capacity.correct(seen(true), 100);
  near(capacity.gamma, 0.97);
});

test('a capacity that was raised comes down again when requests it let in cannot finish', () => {
  const capacity = new Capacity(true);
  capacity.measure([slotOf(20)], RULES, 0);
  const period = (fill: number, dropped: number, nowMs: number) => {
    capacity.ended(32 * fill, FULL);
    capacity.dropped(dropped);
    capacity.correct(seen(true), nowMs);
    return capacity.gamma;
  };
  near(period(0.5, 1, 100), 1.1);
  near(period(0.5, 1, 200), 1.1 * 0.97);
  near(period(1, 0, 300), 1.1 * 0.97);
});

test('it is brought up to date ten times a second, stays within half and double, and returns when nobody refuses', () => {
  const capacity = new Capacity(true);
  capacity.measure([slotOf(20)], RULES, 0);
  let nowMs = 0;
  const periods = (count: number, refusing: boolean, fill: number, waitMs: number) => {
    for (let i = 0; i < count; i += 1) {
      capacity.ended(32 * fill, FULL);
      capacity.waited(100, waitMs);
      nowMs += 50;
      capacity.correct(seen(refusing), nowMs);
    }
  };
  capacity.correct(seen(true), nowMs);
  periods(2, true, 0.5, 0);
  near(capacity.gamma, 1.1);
  periods(100, true, 0.1, 0);
  near(capacity.gamma, 2);
  near(capacity.corrected, 2);
  periods(200, true, 1, 100);
  near(capacity.gamma, 0.5);
  periods(1_000, false, 0.1, 0);
  assert.ok(Math.abs(capacity.gamma - 1) < 0.01, `${capacity.gamma}`);
});

test('without a batch in the period nothing is corrected, and switched off nothing ever is', () => {
  const capacity = new Capacity(true);
  capacity.measure([slotOf(20)], RULES, 0);
  capacity.correct(seen(true), 100);
  assert.equal(capacity.gamma, 1);
  const off = new Capacity(false);
  off.ended(1, FULL);
  off.correct(seen(true), 100);
  assert.deepEqual([off.gamma, off.fill], [1, 1 / 32]);
});
