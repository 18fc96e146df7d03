import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@spillway/testing/seeded-random';
import { Histogram } from '../../src/histogram.ts';

test('quantiles are within 1 % of the exact ones, from microseconds to minutes', () => {
  const random = seededRandom(5);
  const values = Array.from({ length: 20_000 }, () => Math.round(10 ** (random() * 7))); // 1 µs to 10 s
  const histogram = new Histogram();
  for (const value of values) histogram.record(value);
  values.sort((a, b) => a - b);
  for (const quantile of [0.01, 0.5, 0.9, 0.99, 0.999]) {
    const exactMs = values[Math.ceil(quantile * values.length) - 1]! / 1_000;
    const got = histogram.quantileMs(quantile);
    assert.ok(Math.abs(got - exactMs) <= exactMs * 0.01 + 0.001, `p${quantile * 100}: ${got} for ${exactMs}`);
  }
  assert.equal(histogram.total, 20_000);
});

test('a histogram without samples has no quantiles', () => {
  assert.ok(Number.isNaN(new Histogram().quantileMs(0.5)));
});

test('what two histograms hold can be put together; the largest value is kept exactly', () => {
  const [a, b] = [new Histogram(), new Histogram()];
  a.record(1_000);
  b.record(123_457);
  a.add(b);
  assert.deepEqual([a.total, a.maxMs], [2, 123.457]);
  assert.ok(a.quantileMs(1) >= 123.457);
});
