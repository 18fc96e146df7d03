import assert from 'node:assert/strict';
import { test } from 'node:test';
import { share, value } from './figures.ts';
import { Histogram } from './histogram.ts';
import { summarize } from './summary.ts';
import { Tally } from './tally.ts';

test('a quantile is within 0.13 % of the sorted values', () => {
  const histogram = new Histogram();
  const values = Array.from({ length: 9_999 }, (_, n) => 0.5 + ((n * 7_919) % 9_999) * 0.037);
  for (const ms of values) histogram.add(ms);
  const sorted = [...values].sort((a, b) => a - b);
  for (const q of [0.01, 0.5, 0.99, 0.999]) {
    const exact = sorted[Math.ceil(q * sorted.length) - 1] as number;
    assert.ok(Math.abs(histogram.quantile(q) / exact - 1) < 0.0014, `${q}: ${histogram.quantile(q)}, exactly ${exact}`);
  }
  assert.ok(Number.isNaN(new Histogram().quantile(0.5)));
});

test('a call counts in the phase in which it began, an answer when it came', () => {
  const phases = [
    { name: 'one', fromMs: 0, toMs: 100 },
    { name: 'two', fromMs: 100, toMs: 200 },
  ];
  const tally = new Tally(phases, ['vip', 'bulk']);
  tally.cellAt(0, 99).calls += 1;
  tally.cellAt(1, 100).calls += 2;
  tally.cellAt(1, 500).calls += 4;
  assert.deepEqual([tally.cell('one').calls, tally.cell('two').calls], [1, 2]);
  assert.equal(tally.cell('two', (flow) => flow === 'vip').calls, 0);
  tally.answeredWork[0]?.add(120, 30);
  tally.answeredWork[1]?.add(170, 20);
  assert.equal(tally.work(100, 200), 0.5);
  assert.equal(
    tally.work(100, 200, (flow) => flow === 'bulk'),
    0.2,
  );
});

test('shares are pooled over the seeds; of values the worst seed decides', () => {
  const runs = [
    [share('answered', 9_999, 10_000, { atLeast: 99.99 }), value('goodput', '%', 99, { atLeast: 97 }, { atLeast: 99 })],
    [
      share('answered', 10_000, 10_000, { atLeast: 99.99 }),
      value('goodput', '%', 96, { atLeast: 97 }, { atLeast: 99 }),
    ],
  ];
  const [answered, goodput] = summarize(runs);
  assert.deepEqual([answered?.value, answered?.n, answered?.verdict], [99.995, 20_000, 'aim']);
  assert.deepEqual([goodput?.worst, goodput?.verdict, goodput?.failing], [96, 'fails', 1]);
});

test('what must hold and was not seen at all fails, unless it is a share of nothing', () => {
  const [never, nothing] = summarize([
    [
      value('recovered after', 'ms', Number.POSITIVE_INFINITY, { atMost: 2_000 }),
      share('refused', 0, 0, { atLeast: 99 }),
    ],
  ]);
  assert.deepEqual([never?.verdict, nothing?.verdict], ['fails', 'aim']);
  assert.equal(summarize([[value('p99', 'ms', Number.NaN, { atMost: 10 })]])[0]?.verdict, 'fails');
});
