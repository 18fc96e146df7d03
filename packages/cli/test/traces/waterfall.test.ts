import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatDuration, plain } from '../../src/traces/terminal-text.ts';
import { drawWaterfall } from '../../src/traces/waterfall.ts';
import { BATCH_TRACE_ID, sampleTrace, span, TRACE_ID } from './sample-trace.ts';

const WIDE = `\
trace 4bf92f3577b34da6a3ce929d0e0e4736
12.4 ms · 10 spans · 5 services · 5 processes
request req-7 · model credit-risk · class vip · rung run

gateway          request                              0 ms  12.4 ms  █████████████████████████████████████████
gateway          ├─ cache.get miss                  200 µs   900 µs  ███
cache            │  └─ cache.get                    450 µs   312 µs   █
gateway          ├─ features.fetch                  250 µs  3.50 ms  ████████████
feature-service  │  ├─ features.fetch redis         600 µs  1.20 ms   ████
feature-service  │  └─ ✗ features.fetch sqlite      610 µs  2.90 ms    ██████████
                 │        ✗ DEADLINE_EXCEEDED: budget of 3 ms used up
gateway          ├─ enqueue                        3.80 ms   400 µs              █
batcher          ├─ queue.wait                     4.30 ms  3.00 ms                ██████████
gpu-worker       └─ batch.execute 3 rows deadline  7.40 ms  4.20 ms                          ██████████████
                    │  → trace 7f3a2b1c5d6e4f708192a3b4c5d6e7f8
gpu-worker          └─ reply                       11.5 ms   100 µs                                        ▏
`;

test('a trace is drawn by parent and start, with offset, duration, bar, failure and link', () => {
  assert.equal(drawWaterfall(sampleTrace(), { width: 110 }), WIDE);
});

const NARROW_ASCII = `\
trace 4bf92f3577b34da6a3ce929d0e0e4736
12.4 ms - 10 spans - 5 services - 5 processes
request req-7 - model credit-risk - class vip - rung run

gateway          request                         0 ms  12.4 ms  ################
gateway          |- cache.get miss             200 us   900 us  #
cache            |  \`- cache.get               450 us   312 us  |
gateway          |- features.fetch             250 us  3.50 ms  #####
feature-service  |  |- features.fetch redis    600 us  1.20 ms  ##
feature-service  |  \`- x features.fetch sql~   610 us  2.90 ms  ####
                 |        x DEADLINE_EXCEEDED: budget of 3 ms used up
gateway          |- enqueue                   3.80 ms   400 us      #
batcher          |- queue.wait                4.30 ms  3.00 ms       ####
gpu-worker       \`- batch.execute 3 rows de~  7.40 ms  4.20 ms           #####
                    |  -> trace 7f3a2b1c5d6e4f708192a3b4c5d6e7f8
gpu-worker          \`- reply                  11.5 ms   100 us                |
`;

test('80 columns of ASCII cut names and keep the bars', () => {
  assert.equal(drawWaterfall(sampleTrace(), { width: 80, unicode: false }), NARROW_ASCII);
});

test('no line is wider than the terminal', () => {
  for (const width of [50, 60, 72, 80, 100, 200]) {
    for (const line of drawWaterfall(sampleTrace(), { width }).split('\n'))
      assert.ok([...line].length <= width, `${width}: ${line}`);
  }
});

test('a narrow terminal gets names and times without bars', () => {
  const drawn = drawWaterfall(sampleTrace(), { width: 60 });
  assert.doesNotMatch(drawn, /█/);
  assert.match(drawn, /^batcher +├─ queue\.wait +4\.30 ms +3\.00 ms$/m);
});

const ESCAPE = '\u001b';

test('colour codes are written only when asked for, and change nothing else', () => {
  const coloured = drawWaterfall(sampleTrace(), { width: 110, colour: true });
  assert.ok(coloured.includes(`${ESCAPE}[31m`));
  const stripped = coloured.replaceAll(new RegExp(`${ESCAPE}\\[\\d+m`, 'g'), '');
  assert.equal(stripped, WIDE);
  assert.ok(!WIDE.includes(ESCAPE));
});

test('text of a span cannot steer the terminal', () => {
  const evil = `${ESCAPE}[2J\n\u202efake`;
  const trace = {
    traceId: TRACE_ID,
    spans: [
      span({
        id: 'a',
        at: 0,
        took: 1,
        name: evil,
        service: evil,
        attributes: { 'spillway.request.id': evil, 'spillway.model': evil },
        error: { code: evil, message: evil },
      }),
    ],
  };
  const drawn = drawWaterfall(trace, { width: 100 });
  assert.equal(plain(drawn.replaceAll('\n', '')), drawn.replaceAll('\n', ''));
  assert.equal(drawn.split('\n').length, 7, 'five lines, an empty one between, and the end');
});

test('a span whose parent has not arrived is drawn as a root', () => {
  const spans = [
    span({ id: 'orphan', parent: 'missing', at: 2, took: 1 }),
    span({ id: 'child', parent: 'orphan', at: 2.1, took: 0.5 }),
  ];
  assert.match(drawWaterfall({ traceId: TRACE_ID, spans }, { width: 100 }), /^gateway {2}orphan +0 ms.*\n.*└─ child/m);
});

test('spans that name each other as parents are all drawn, once', () => {
  const spans = [
    span({ id: 'a', parent: 'b', at: 0, took: 1 }),
    span({ id: 'b', parent: 'a', at: 0, took: 1 }),
    span({ id: 'c', parent: 'a', at: 0, took: 1 }),
    span({ id: 'd', parent: 'd', at: 0, took: 1 }),
  ];
  const drawn = drawWaterfall({ traceId: TRACE_ID, spans }, { width: 100 });
  assert.equal(drawn.match(/^gateway/gm)?.length, 4);
});

test('a batch shows how many requests it is linked to, and the first of them', () => {
  const links = Array.from({ length: 6 }, (_, index) => ({
    traceId: `${index}`.repeat(8).padEnd(32, 'f'),
    spanId: '1'.repeat(16),
  }));
  const spans = [span({ id: 'batch', name: 'batch mlp', traceId: BATCH_TRACE_ID, at: 0, took: 4, links })];
  assert.match(
    drawWaterfall({ traceId: BATCH_TRACE_ID, spans }, { width: 100 }),
    /→ 6 traces: 00000000 11111111 22222222 33333333 and 2 more$/m,
  );
});

test('a trace without spans says so', () => {
  assert.equal(drawWaterfall({ traceId: TRACE_ID, spans: [] }, { width: 80 }), `trace ${TRACE_ID}: no spans\n`);
});

test('durations have three figures and a unit that fits', () => {
  const cases = { 0: '0 ms', 0.0123: '12 µs', 0.9994: '999 µs', 0.9996: '1.00 ms', 12.345: '12.3 ms', 456.7: '457 ms' };
  for (const [ms, text] of Object.entries(cases)) assert.equal(formatDuration(Number(ms)), text);
  assert.equal(formatDuration(1_234), '1.23 s');
  assert.equal(formatDuration(99_970), '100 s');
});
