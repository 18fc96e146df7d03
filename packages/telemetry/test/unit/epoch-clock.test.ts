import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EpochClock, toEpochTime } from '../../src/epoch-clock.ts';

function clocks() {
  const state = { monotonicMs: 500, wallMs: 1_700_000_000_500 };
  const clock = new EpochClock({
    originMs: 1_700_000_000_000.25,
    monotonicMs: () => state.monotonicMs,
    wallMs: () => state.wallMs,
  });
  const advance = (ms: number) => {
    state.monotonicMs += ms;
    state.wallMs += ms;
  };
  return { clock, state, advance };
}

test('the exact origin is kept while the coarse wall clock agrees', () => {
  const { clock, state, advance } = clocks();
  state.wallMs += 15;
  assert.equal(clock.originMs(), 1_700_000_000_000.25);
  advance(10_000);
  assert.equal(clock.originMs(), 1_700_000_000_000.25);
});

test('the origin follows a wall clock that was set, within a second', () => {
  const { clock, state, advance } = clocks();
  clock.originMs();
  state.wallMs += 3_600_000;
  advance(999);
  assert.equal(clock.originMs(), 1_700_000_000_000.25, 'not looked at more often than once a second');
  advance(1);
  assert.equal(clock.originMs(), 1_700_003_600_000);
});

test('splitting into seconds and nanoseconds loses no microsecond and carries', () => {
  assert.deepEqual(toEpochTime(1_700_000_000_999.5, 0.625), [1_700_000_001, 125_000]);
  assert.deepEqual(toEpochTime(1_700_000_000_000, 0), [1_700_000_000, 0]);
  assert.deepEqual(toEpochTime(0, 2.5), [0, 2_500_000]);
});
