import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomStream } from '@spillway/load/random';
import { Simulation } from './simulation.ts';

test('events happen in the order of their times, and of equal times in the order they were scheduled', () => {
  const sim = new Simulation();
  const random = randomStream(7, 'times');
  const expected: { timeMs: number; n: number }[] = [];
  const happened: { timeMs: number; n: number }[] = [];
  for (let n = 0; n < 5_000; n += 1) {
    const entry = { timeMs: Math.floor(random() * 500), n };
    expected.push(entry);
    sim.at(entry.timeMs, (one: typeof entry) => happened.push(one), entry);
  }
  sim.run(1_000);
  assert.deepEqual(
    happened,
    expected.sort((a, b) => a.timeMs - b.timeMs || a.n - b.n),
  );
  assert.equal(sim.events, 5_000);
});

test('an event may schedule others, and time stands where the run ends', () => {
  const sim = new Simulation();
  const seen: number[] = [];
  const again = (left: number): void => {
    seen.push(sim.now());
    if (left > 0) sim.after(10, again, left - 1);
  };
  sim.at(5, again, 3);
  sim.run(24);
  assert.deepEqual(seen, [5, 15]);
  assert.equal(sim.now(), 24);
  sim.run(100);
  assert.deepEqual(seen, [5, 15, 25, 35]);
});

test('what repeats ends when it says so', () => {
  const sim = new Simulation();
  let calls = 0;
  sim.every(10, 3, () => {
    calls += 1;
    return calls < 4 ? undefined : false;
  });
  sim.run(1_000);
  assert.equal(calls, 4);
});

test('nothing is scheduled in the past', () => {
  const sim = new Simulation();
  sim.run(50);
  assert.throws(() => sim.at(49, () => undefined, undefined), /an event at 49 ms, now is 50/);
  assert.throws(() => sim.at(Number.NaN, () => undefined, undefined), /NaN/);
});
