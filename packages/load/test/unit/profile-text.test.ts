import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expectedRequests, meanRate, peakRate, phaseTimes } from '../../src/profile.ts';
import { parseProfile } from '../../src/profile-text.ts';

test('phases have labels, shapes and durations; x is a multiple of the capacity', () => {
  const profile = parseProfile('calm: 0.7x 10s, flood: 5x 20s, 210 500ms', 300);
  assert.deepEqual(phaseTimes(profile), [
    { label: 'calm', fromMs: 0, toMs: 10_000 },
    { label: 'flood', fromMs: 10_000, toMs: 30_000 },
    { label: '210 500ms', fromMs: 30_000, toMs: 30_500 },
  ]);
  assert.deepEqual(
    profile.map(({ pieces }) => Math.round(meanRate(pieces))),
    [210, 1_500, 210],
  );
});

test('ramps, sawteeth and squares are read', () => {
  const [up, saw, square, burst] = parseProfile(
    '100..500 60s, saw 0..200 every 5s 60s, square 100..300 every 400ms 2s, square 0..100 every 1s burst 50ms 10s',
  );
  assert.equal(expectedRequests(up!.pieces), 300 * 60);
  assert.equal(expectedRequests(saw!.pieces), 100 * 60);
  assert.equal(saw!.pieces.length, 12);
  assert.equal(expectedRequests(square!.pieces), 400);
  assert.equal(expectedRequests(burst!.pieces), 50);
  assert.equal(peakRate(burst!.pieces), 100);
});

for (const [text, message] of [
  ['', /expected phases/],
  ['300', /expected a duration/],
  ['300 20', /got "20"/],
  ['2x 10s', /none was given/],
  ['fast 10s', /expected requests\/s such as 300.*got "fast"/],
  ['saw 1..2 60s', /expected one of/],
  ['100..500 each 5s 60s', /expected "every" or "burst", got "each"/],
  ['a: 100 200 10s', /expected "every" or "burst", got "200"/],
] as const) {
  test(`the profile "${text}" is refused`, () => {
    assert.throws(() => parseProfile(text), message);
  });
}
