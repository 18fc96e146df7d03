import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Arrivals, profileArrivals } from '../../src/arrivals.ts';
import { constantGaps, type Gaps, gammaGaps, poissonGaps } from '../../src/gaps.ts';
import { constantRate, ramp, sawtooth, squareBursts } from '../../src/profile.ts';
import { randomStream } from '../../src/random.ts';

function all(arrivals: Arrivals): number[] {
  const times: number[] = [];
  for (let t = arrivals.next(); t < Number.POSITIVE_INFINITY; t = arrivals.next()) times.push(t);
  return times;
}

const between = (times: readonly number[], fromMs: number, toMs: number): number =>
  times.filter((t) => t >= fromMs && t < toMs).length;

/** Within five standard deviations of a Poisson count: a right generator fails once in two million seeds. */
function assertPoissonCount(got: number, expected: number): void {
  assert.ok(Math.abs(got - expected) <= 5 * Math.sqrt(expected), `${got} for ${expected}`);
}

const cvOf = (gaps: readonly number[]): number => {
  const mean = gaps.reduce((a, b) => a + b, 0) / gaps.length;
  return Math.sqrt(gaps.reduce((sum, g) => sum + (g - mean) ** 2, 0) / gaps.length) / mean;
};

const poisson = (seed = 1): Gaps => poissonGaps(randomStream(seed, 'arrivals'));

test('the same seed gives the same arrivals, another seed or name gives others', () => {
  const of = (seed: number, name: string) =>
    all(profileArrivals(constantRate(100, 10_000), poissonGaps(randomStream(seed, name))));
  assert.deepEqual(of(7, 'a'), of(7, 'a'));
  assert.notDeepEqual(of(7, 'a'), of(8, 'a'));
  assert.notDeepEqual(of(7, 'a'), of(7, 'b'));
});

test('times rise, lie inside the profile, and stay at infinity from the end on', () => {
  const pieces = [...ramp(0, 500, 2_000), ...constantRate(0, 1_000), ...ramp(500, 0, 2_000)];
  const arrivals = profileArrivals(pieces, poisson());
  const times = all(arrivals);
  assert.ok(times.every((t, n) => t >= (times[n - 1] ?? 0) && t <= 5_000));
  assert.equal(between(times, 2_000, 3_000), 0);
  assert.equal(arrivals.next(), Number.POSITIVE_INFINITY);
});

test('Poisson arrivals have the rate that was asked for, second by second, and gaps with a CV of 1', () => {
  const times = all(profileArrivals(constantRate(1_000, 50_000), poisson()));
  assertPoissonCount(times.length, 50_000);
  const perSecond = Array.from({ length: 50 }, (_, s) => between(times, s * 1_000, (s + 1) * 1_000));
  const mean = times.length / 50;
  const dispersion = perSecond.reduce((sum, n) => sum + (n - mean) ** 2, 0) / 49 / mean;
  assert.ok(dispersion > 0.5 && dispersion < 1.7, `variance over mean ${dispersion}`); // χ² with 49 degrees: 0.45 to 1.8
  const cv = cvOf(times.slice(1).map((t, n) => t - (times[n] as number)));
  assert.ok(Math.abs(cv - 1) < 0.03, `CV ${cv}`);
});

test('constant arrivals are evenly spaced', () => {
  const times = all(profileArrivals(constantRate(50, 1_000), constantGaps()));
  assert.equal(times.length, 50);
  for (const [n, t] of times.entries()) assert.ok(Math.abs(t - (n * 20 + 10)) < 1e-6, `${t}`);
});

test('a ramp sends as many as its area, in each of its parts', () => {
  const times = all(profileArrivals(ramp(0, 1_000, 60_000), poisson(3)));
  for (const [fromMs, toMs] of [
    [0, 15_000],
    [15_000, 30_000],
    [30_000, 60_000],
  ] as const) {
    const area = ((fromMs + toMs) / 2 / 60_000) * 1_000 * ((toMs - fromMs) / 1_000);
    assertPoissonCount(between(times, fromMs, toMs), area);
  }
});

test('clockwork on a ramp follows the integral of the rate exactly', () => {
  const times = all(profileArrivals(ramp(0, 200, 10_000), constantGaps()));
  for (const [n, t] of times.entries()) assert.ok(Math.abs(((t / 1_000) ** 2 * 20) / 2 - (n + 0.5)) < 1e-6, `${t}`);
});

test('a sawtooth rises in every period and falls at once', () => {
  const times = all(profileArrivals(sawtooth(100, 1_900, 5_000, 60_000), poisson(4)));
  assertPoissonCount(times.length, 60_000);
  const inPeriod = times.map((t) => t % 5_000);
  assertPoissonCount(between(inPeriod, 0, 1_000), 12 * 280);
  assertPoissonCount(between(inPeriod, 4_000, 5_000), 12 * 1_720);
});

test('square bursts are high for their length and low for the rest, also when the last period is cut', () => {
  const pieces = squareBursts({ low: 100, high: 2_000, burstMs: 50, periodMs: 250 }, 10_100);
  const times = all(profileArrivals(pieces, poisson(5)));
  const inPeriod = times.map((t) => t % 250);
  assertPoissonCount(between(inPeriod, 0, 50), 41 * 100);
  assertPoissonCount(between(inPeriod, 50, 250), 40 * 20 + 5);
});

for (const [name, gaps, cv] of [
  ['gamma with shape 0.25', gammaGaps(randomStream(1, 'g'), 0.25), 2],
  ['gamma with shape 4', gammaGaps(randomStream(2, 'g'), 4), 0.5],
] as const) {
  test(`gaps of ${name} have mean 1 and a CV of ${cv.toFixed(2)}`, () => {
    const drawn = Array.from({ length: 200_000 }, gaps);
    const mean = drawn.reduce((a, b) => a + b, 0) / drawn.length;
    assert.ok(Math.abs(mean - 1) < (5 * cv) / Math.sqrt(drawn.length), `mean ${mean}`);
    assert.ok(Math.abs(cvOf(drawn) / cv - 1) < 0.05, `CV ${cvOf(drawn)}`);
  });
}

test('a piece that cannot be is refused with the value', () => {
  assert.throws(() => constantRate(-1, 1_000), /rate: expected at least 0 requests\/s, got -1/);
  assert.throws(() => constantRate(1, 0), /duration: expected more than 0 ms, got 0/);
  assert.throws(() => squareBursts({ low: 1, high: 2, burstMs: 3, periodMs: 2 }, 9), /burst: expected at most/);
  assert.throws(() => sawtooth(1, 2, 0, 1_000), /period: expected/);
  assert.throws(() => gammaGaps(Math.random, 0), /shape: expected a number above 0, got 0/);
});
