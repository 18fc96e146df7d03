import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TraceSampler } from '../../src/sampler.ts';

/** Packages above this one have a manual clock; here one number does. */
function manualClock() {
  let nowMs = 1_000;
  return {
    now: () => nowMs,
    advance: (ms: number) => {
      nowMs += ms;
    },
  };
}
const never = () => 1;
const countOf = (sampler: TraceSampler, calls: number) =>
  Array.from({ length: calls }, () => sampler.sample()).filter(Boolean).length;

test('everything up to 20 traces a second is kept', () => {
  const clock = manualClock();
  const sampler = new TraceSampler({ clock, random: never });
  let kept = 0;
  for (let request = 0; request < 100; request += 1) {
    clock.advance(50);
    if (sampler.sample()) kept += 1;
  }
  assert.equal(kept, 100);
});

test('a burst is kept up to one second of tokens, and they come back with time', () => {
  const clock = manualClock();
  const sampler = new TraceSampler({ clock, random: never });
  assert.equal(countOf(sampler, 1_000), 20);
  clock.advance(100);
  assert.equal(countOf(sampler, 1_000), 2);
  clock.advance(60_000);
  assert.equal(countOf(sampler, 1_000), 20, 'an idle minute saves up no more than one second');
});

test('what exceeds the rate is kept by ratio', () => {
  let draw = 0;
  const everyHundredth = () => {
    draw += 1;
    return (draw % 100) / 100;
  };
  const sampler = new TraceSampler({ clock: manualClock(), perSecond: 0, random: everyHundredth });
  assert.equal(countOf(sampler, 1_000), 10);
});

test('a ratio of 1 keeps all, of 0 with no rate none', () => {
  assert.equal(countOf(new TraceSampler({ clock: manualClock(), perSecond: 0, ratio: 1 }), 100), 100);
  assert.equal(countOf(new TraceSampler({ clock: manualClock(), perSecond: 0, ratio: 0 }), 100), 0);
});

test('a ratio outside 0 to 1 is refused at construction', () => {
  assert.throws(() => new TraceSampler({ clock: manualClock(), ratio: 1.5 }), /ratio from 0 to 1, got 1.5/);
  assert.throws(() => new TraceSampler({ clock: manualClock(), perSecond: Number.NaN }), /≥ 0, got NaN/);
});

test('a divisor thins out both the rate and the ratio', () => {
  const sampler = new TraceSampler({ clock: manualClock(), perSecond: 20, ratio: 1, random: () => 0.3 });
  const kept = Array.from({ length: 5 }, () => sampler.sample(10));
  assert.deepEqual(kept, [true, true, false, false, false], 'two by the rate, then 0.3 is above 1 / 10');
});
