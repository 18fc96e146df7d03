import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reportPage } from '../../src/html/page.ts';
import { exactScale, linearScale, logScale } from '../../src/html/scale.ts';
import { addGauges } from '../../src/metrics-scrape.ts';
import type { LoadReport } from '../../src/report.ts';
import { percent, reportText } from '../../src/report-text.ts';
import { phaseReports, recoveries, timelineOf } from '../../src/summarize.ts';
import { kind, makeLoop, ok, refused } from './fixtures.ts';

function report(title: string, more: Partial<LoadReport> = {}): LoadReport {
  const made = makeLoop([kind({ name: 'vip' })], [10, 20, 30, 1_500]);
  for (const [atMs, from] of [
    [50, 0],
    [1_550, 3],
  ] as const) {
    made.runTo(atMs);
    for (const { attempt, end } of made.sent.slice(from))
      end(attempt.input === 2 ? refused(200) : ok({ batchRows: 8 }));
  }
  const { recorder } = made;
  return {
    format: 1,
    title,
    startedAt: '2026-01-01T00:00:00.000Z',
    about: ['Poisson arrivals'],
    machine: 'test',
    seed: 1,
    capacity: 300,
    void: [],
    generator: {
      stolen: 0.22,
      latenessP50Ms: 0.5,
      latenessP99Ms: 1,
      latenessMaxMs: 2,
      cpu: 0.1,
      mostInFlight: 3,
      connections: 1,
      unsent: 0,
    },
    groups: ['vip'],
    phases: phaseReports(recorder, () => 0.1),
    recovery: recoveries(recorder),
    timeline: timelineOf(recorder),
    metrics: {
      timesMs: [0, 500],
      series: [{ name: 'spillway_queue_rows', labels: 'vip simulated', values: [3, null] }],
    },
    ...more,
  };
}

/** Names of the elements that are open at the end, and of those that end without a begin. */
function unbalanced(html: string): string[] {
  const open: string[] = [];
  for (const [, slash, name = '', selfClosed] of html.matchAll(/<(\/?)([a-z0-9]+)[^>]*?(\/?)>/g)) {
    if (selfClosed === '/' || ['meta', 'br'].includes(name)) continue;
    if (slash === '/') {
      if (open.pop() !== name) return [`</${name}>`];
    } else open.push(name);
  }
  return open;
}

test('the page is whole, loads nothing and runs nothing', () => {
  const page = reportPage([report('one')]);
  assert.deepEqual(unbalanced(page), []);
  assert.doesNotMatch(page, /<script|<link|<img|src=|href=|@import|url\(/);
  assert.doesNotMatch(page, /NaN|undefined|Infinity/);
  for (const text of ['What became of the requests', 'Latency by percentile', 'Batch sizes', 'spillway_queue_rows']) {
    assert.ok(page.includes(text), text);
  }
});

test('reports stand side by side, a chart of each in every row', () => {
  const one = reportPage([report('one')]).split('<svg').length - 1;
  const both = reportPage([report('one'), report('two')]);
  assert.equal(both.split('<svg').length - 1, 2 * one);
  assert.match(both, /--columns: 2/);
});

test('text of the user stays text', () => {
  const page = reportPage([report('<b>"x" & y</b>')]);
  assert.ok(page.includes('&lt;b&gt;&quot;x&quot; &amp; y&lt;/b&gt;'));
  assert.ok(!page.includes('<b>"x"'));
});

test('a void run says so in the page and in the text', () => {
  const voided = report('one', { void: ['load: sends were late'] });
  assert.match(reportPage([voided]), /class="void".*sends were late/);
  assert.match(reportText(voided).join('\n'), /VOID.*\n.*sends were late/);
  assert.doesNotMatch(reportText(report('one')).join('\n'), /VOID/);
});

test('the text has a line for each group and what refused whom', () => {
  const text = reportText(report('one')).join('\n');
  assert.match(text, /^first, 1\.0 s$/m);
  assert.match(text, /^vip +3 +3\.0/m);
  assert.match(text, /refused by fair_rate 1; 0\.00 % of what was not served was refused within 10 ms/);
  assert.match(text, /offered 0\.01 × capacity/);
});

test('a share is never rounded up', () => {
  assert.equal(percent(29_999, 30_000, 2), '99.99 %');
  assert.equal(percent(30_000, 30_000, 2), '100.00 %');
  assert.equal(percent(1, 0), '–');
});

test('axes begin and end at round numbers around the values', () => {
  assert.deepEqual(linearScale(87, [0, 100]).ticks, [0, 50, 100]);
  assert.deepEqual(logScale([150, 760], [0, 1]).ticks, [100, 200, 500, 1_000]);
  assert.deepEqual(exactScale(28, [0, 280]).ticks, [0, 5, 10, 15, 20, 25]);
  assert.equal(exactScale(28, [0, 280])(28), 280);
  assert.equal(logScale([1, 1_000], [0, 3])(100), 2);
});

test('gauges of several instances are summed by class and model; counters of other names are left out', () => {
  const sums = new Map<string, number>();
  const text = '# HELP x\nspillway_queue_rows{class="vip",model="mlp",pod="a"} 3\nspillway_other 5\nspillway_level 2\n';
  addGauges(text, ['spillway_queue_rows', 'spillway_level'], sums);
  addGauges(text, ['spillway_queue_rows'], sums);
  assert.deepEqual(
    [...sums],
    [
      ['spillway_queue_rows\nvip mlp', 6],
      ['spillway_level\n', 2],
    ],
  );
});
