import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Arrivals } from '../../src/arrivals.ts';
import { randomStream } from '../../src/random.ts';
import { busiestSecond, replay, windowAroundPeak } from '../../src/replay.ts';
import { type CountsTrace, parseTrace, type TimesTrace } from '../../src/trace-csv.ts';

function all(arrivals: Arrivals): number[] {
  const times: number[] = [];
  for (let t = arrivals.next(); t < Number.POSITIVE_INFINITY; t = arrivals.next()) times.push(t);
  return times;
}

const random = () => randomStream(11, 'replay');

test('times keep all seven digits of their fraction, with CRLF and further columns', () => {
  const text = [
    'TIMESTAMP,ContextTokens,GeneratedTokens',
    '2023-11-16 18:15:46.6805900,374,44',
    '2023-11-16 18:15:50.9951690,396,109',
    '2023-11-16 18:15:51.0000001,879,55',
    '2023-11-16 18:16:51,1,1',
    '',
  ].join('\r\n');
  const trace = parseTrace(text) as TimesTrace;
  const expected = [0, 4_314.579, 4_319.4101, 64_319.41];
  for (const [n, t] of trace.timesMs.entries()) assert.ok(Math.abs(t - (expected[n] as number)) < 1e-7, `${t}`);
  assert.equal(Math.round(trace.startEpochMs), Date.parse('2023-11-16T18:15:46.681Z'));
});

test('times that stand out of order are sorted, and plain seconds are times', () => {
  const trace = parseTrace('t\n2.5\n1.25\n10\n') as TimesTrace;
  assert.deepEqual([...trace.timesMs], [0, 1_250, 8_750]);
});

test('counts lie on a regular grid, and a missing minute is missing, not zero', () => {
  const text = 'period,count\n1998-04-30 21:30:00,2\n1998-04-30 21:31:00,11\n1998-04-30 21:34:00,16\n';
  const trace = parseTrace(text) as CountsTrace;
  assert.equal(trace.periodMs, 60_000);
  assert.deepEqual([...trace.counts], [2, 11, Number.NaN, Number.NaN, 16]);
});

for (const [text, message] of [
  ['', /line 1: expected a head/],
  ['2023-11-16 18:15:46,1\n', /line 1: expected a head/],
  ['t\n1\n', /at least 2 rows, got 1/],
  ['t\n1\nyesterday\n', /line 3: expected a time.*got "yesterday"/],
  ['t\n2023-13-45 99:00:00\n1\n', /line 2: expected a time/],
  ['t,count\n1,5\n2,many\n', /line 3: expected a count.*got "many"/],
  ['t,count\n1,5\n1,6\n', /row 2: expected a later time/],
] as const) {
  test(`a trace of ${JSON.stringify(text)} is refused`, () => {
    assert.throws(() => parseTrace(text), message);
  });
}

const recorded: TimesTrace = {
  kind: 'times',
  startEpochMs: 0,
  timesMs: Float64Array.from({ length: 2_001 }, (_, n) => n * 100),
};

test('recorded times are replayed as they are, cut to the window and faster', () => {
  const { arrivals, durationMs } = replay(recorded, { window: { fromMs: 1_000, toMs: 1_500 }, speed: 2 }, random());
  assert.deepEqual(all(arrivals), [0, 50, 100, 150, 200, 250]);
  assert.equal(durationMs, 250);
});

test('an amount below 1 keeps a share of the recorded requests, above 1 adds copies near them', () => {
  const [less, more] = [0.3, 7.5].map((amount) => all(replay(recorded, { amount }, random()).arrivals)) as [
    number[],
    number[],
  ];
  assert.ok(less.every((t) => t % 100 === 0));
  assert.ok(Math.abs(less.length - 600) < 5 * Math.sqrt(2_000 * 0.3 * 0.7), `${less.length}`);
  assert.ok(Math.abs(more.length - 15_000) < 150, `${more.length}`);
  assert.ok(more.every((t, n) => t >= (more[n - 1] ?? 0) && t <= 200_000));
});

test('the amount can be given as the rate of the busiest second', () => {
  const { arrivals, amount } = replay(recorded, { peakPerSecond: 300 }, random());
  assert.equal(amount, 30);
  assert.ok(Math.abs(busiestSecond(Float64Array.from(all(arrivals))) / 300 - 1) < 0.25);
});

const minutes: CountsTrace = {
  kind: 'counts',
  startEpochMs: 0,
  periodMs: 60_000,
  counts: Float64Array.of(6_000, 12_000, Number.NaN, 18_000, 600, 600),
};

test('counts a minute become a Poisson process with the count of each minute; a gap takes the mean of its neighbours', () => {
  const { arrivals, filledPeriods, durationMs } = replay(minutes, { speed: 60 }, random());
  const perSecond = new Array<number>(6).fill(0);
  for (const t of all(arrivals)) perSecond[Math.floor(t / 1_000)]! += 1;
  [6_000, 12_000, 15_000, 18_000, 600, 600].forEach((expected, s) => {
    assert.ok(Math.abs((perSecond[s] as number) - expected) <= 5 * Math.sqrt(expected), `${perSecond[s]}, ${expected}`);
  });
  assert.deepEqual([filledPeriods, durationMs], [1, 6_000]);
});

test('counts are scaled so that their peak has the wanted rate', () => {
  const window = { fromMs: 180_000, toMs: 360_000 };
  const scaledReplay = replay(minutes, { window, speed: 60, peakPerSecond: 450 }, random());
  assert.equal(scaledReplay.peakPerSecond, 450);
  assert.equal(scaledReplay.amount, 0.025);
  assert.ok(Math.abs(all(scaledReplay.arrivals).length - 480) < 5 * Math.sqrt(480));
});

test('a long gap is not made up', () => {
  const counts = Float64Array.of(5, ...new Array<number>(11).fill(Number.NaN), 5);
  assert.throws(() => replay({ ...minutes, counts }, {}, random()), /11 periods are missing/);
});

test('the window around the peak stays inside the trace', () => {
  assert.deepEqual(windowAroundPeak(minutes, 120_000), { fromMs: 150_000, toMs: 270_000 });
  assert.deepEqual(windowAroundPeak(minutes, 9e9), { fromMs: 0, toMs: 360_000 });
});

test('a window without requests is refused', () => {
  assert.throws(() => replay(recorded, { window: { fromMs: 1e7, toMs: 2e7 } }, random()), /no request from/);
  assert.throws(() => replay(minutes, { window: { fromMs: 1e7, toMs: 2e7 } }, random()), /no period from/);
});
