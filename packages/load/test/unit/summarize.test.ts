import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CpuMeter } from '../../src/cpu-meter.ts';
import { phaseReports, recoveries, timelineOf } from '../../src/summarize.ts';
import { whyVoid } from '../../src/void-rule.ts';
import { kind, makeLoop, ok, refused } from './fixtures.ts';

/** 20 requests in the first second, of which every second one is refused after 2 ms; 10 in the next, all answered after 30 ms. */
function flooded() {
  const due = [
    ...Array.from({ length: 20 }, (_, n) => n * 50),
    ...Array.from({ length: 10 }, (_, n) => 1_000 + n * 100),
  ];
  const made = makeLoop([kind({ trafficClass: 'vip' })], due);
  made.loop.tick(); // the first is due at once
  let ended = 0;
  for (let atMs = 1; atMs <= 2_100; atMs += 1) {
    made.runTo(atMs);
    for (const { attempt, atMs: sentMs, end } of made.sent.slice(ended)) {
      const isRefused = attempt.dueMs - 1_000 < 1_000 && attempt.input % 2 === 0;
      if (atMs - sentMs < (isRefused ? 2 : 30)) break;
      end(isRefused ? refused(700) : ok({ batchRows: 4, queueMs: 12, trafficClass: 'standard' }));
      ended += 1;
    }
  }
  return made;
}

test('a phase tells what was offered, how it ended and how long it took', () => {
  const [first, second, ...rest] = phaseReports(flooded().recorder, () => 0.25);
  assert.deepEqual(rest, []);
  assert.deepEqual(
    [first!.label, first!.all.offered, first!.all.good, first!.all.refused, first!.all.served],
    ['first', 20, 10, 10, 10],
  );
  assert.deepEqual([second!.all.offered, second!.all.good, second!.cpu], [10, 10, 0.25]);
  assert.deepEqual(first!.all.refusedBy, { fair_rate: 10 });
  assert.equal(first!.all.hints.given, 10);
  assert.deepEqual([second!.all.latency.samples, second!.all.latency.quantiles.length], [10, 9]);
  assert.ok(Math.abs((second!.all.latency.quantiles[0] ?? 0) - 30) < 1.5);
  assert.deepEqual([second!.all.batches, second!.all.meanBatch], [{ 4: 10 }, 4]);
});

test('a class that the server lowered is told', () => {
  const [first] = phaseReports(flooded().recorder, () => null);
  assert.equal(first!.groups['standard']!.otherClass, 10);
});

test('a refusal within 10 ms is prompt, and a later one is not', () => {
  const made = makeLoop([kind()], [0, 0]);
  made.loop.tick();
  made.runTo(9);
  made.sent[0]!.end(refused());
  made.runTo(12);
  made.sent[1]!.end(refused());
  assert.equal(phaseReports(made.recorder, () => null)[0]!.all.promptRefusals, 1);
});

test('recovery is measured after a phase that a quieter one follows', () => {
  assert.deepEqual(recoveries(flooded().recorder), [
    { after: 'first', toPhase: 'second', ms: 0, byGroup: { standard: 0 } },
  ]);
});

test('the timeline has a value for each slice, and the same sums', () => {
  const { groups, meanBatch, sliceMs } = timelineOf(flooded().recorder);
  assert.equal(sliceMs, 1_000);
  assert.deepEqual(groups['standard']!.offered, [20, 10]);
  assert.deepEqual(groups['standard']!.refused, [10, 0]);
  assert.deepEqual(meanBatch, [4, 4]);
  assert.equal(groups['standard']!.p99.length, 2);
});

test('tries that are due after the end stand in a phase of their own', () => {
  const made = makeLoop([kind({ retry: { kind: 'obey', tries: 2 } })], [1_990]);
  made.runTo(1_992);
  made.sent[0]!.end(refused(300));
  made.runTo(2_300);
  made.sent[1]!.end(ok());
  const last = phaseReports(made.recorder, () => null).at(-1)!;
  assert.deepEqual([last.label, last.all.offered, last.all.attempts, last.all.good], ['after the end', 0, 1, 1]);
});

test('cores are CPU time over time, between the samples around a phase', () => {
  const meter = new CpuMeter();
  for (const [atMs, usedMs] of [
    [0, 100],
    [500, 200],
    [1_000, 600],
    [2_000, 700],
  ] as const) {
    meter.sample(atMs, usedMs);
  }
  assert.equal(meter.cores(500, 1_000), 0.8);
  assert.equal(meter.cores(0, 2_000), 0.3);
  assert.equal(new CpuMeter().cores(0, 1), null);
});

test('a run is void when sends are late, when the generator has no CPU left, and when requests were not sent', () => {
  const [phase] = phaseReports(flooded().recorder, () => 0.5);
  const of = (more: object, unsent = 0) => whyVoid([{ ...phase!, ...more }], unsent).join();
  assert.equal(of({ latenessP99Ms: 5 }), '');
  assert.match(of({ latenessP99Ms: 5.1 }), /first: p99 of the lateness of sends 5.1 ms/);
  assert.match(of({ cpu: 0.91 }), /first: the generator used 91 % of a core/);
  assert.equal(of({ cpu: 0.91, toMs: 500 }), '');
  assert.match(of({}, 3), /3 requests were not sent/);
});
