import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomStream } from '../../src/random.ts';
import { parseServegenClient, servegenArrivals } from '../../src/servegen.ts';

const FILE = '0,0,0,,0,0\n600,50,2,Gamma,0.25,0.08\n1200,100,1,Weibull,1,0.01\n';

test('each bin sends its rate times its length, bursty as its distribution says, and silence is silent', () => {
  const arrivals = servegenArrivals(parseServegenClient(FILE), { speed: 10 }, randomStream(1, 'client'));
  const times: number[] = [];
  for (let t = arrivals.next(); t < Number.POSITIVE_INFINITY; t = arrivals.next()) times.push(t);
  const bins = [0, 1, 2].map((bin) => times.filter((t) => Math.floor(t / 60_000) === bin).length);
  assert.equal(bins[0], 0);
  assert.ok(Math.abs(bins[1]! - 30_000) < 5 * 2 * Math.sqrt(30_000), `${bins}`); // CV 2: twice a Poisson count's deviation
  assert.ok(Math.abs(bins[2]! - 60_000) < 5 * Math.sqrt(60_000), `${bins}`);
  assert.ok(times.every((t, n) => t >= (times[n - 1] ?? 0)));
});

test('a line that cannot be read is named', () => {
  assert.throws(
    () => parseServegenClient('0,5,1,Pareto,1,1\n'),
    /line 1: expected Gamma, Weibull or nothing, got "Pareto"/,
  );
  assert.throws(() => parseServegenClient('0,1,1,,0,0\n600,fast,1,,0,0\n'), /line 2: expected requests\/s, got "fast"/);
});
