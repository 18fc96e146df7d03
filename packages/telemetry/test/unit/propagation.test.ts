import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatTraceparent, newSpanId, newTraceId, parseTraceparent, traceIdOf } from '../../src/propagation.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

test('a traceparent is read and written back the same', () => {
  const text = `00-${TRACE}-${SPAN}-01`;
  assert.deepEqual(parseTraceparent(text), { traceId: TRACE, spanId: SPAN, sampled: true });
  assert.equal(formatTraceparent(parseTraceparent(text)!), text);
});

test('only the lowest bit of the flags says sampled', () => {
  const sampled = (flags: string) => parseTraceparent(`00-${TRACE}-${SPAN}-${flags}`)?.sampled;
  assert.deepEqual(['00', '01', '02', '03', '0a', 'ff'].map(sampled), [false, true, false, true, false, true]);
});

test('a later version is read up to the fields that are known', () => {
  assert.equal(parseTraceparent(`01-${TRACE}-${SPAN}-01`)?.spanId, SPAN);
  assert.equal(parseTraceparent(`cc-${TRACE}-${SPAN}-01-what.comes`)?.traceId, TRACE);
});

test('everything malformed is undefined', () => {
  const malformed = [
    undefined,
    '',
    'x'.repeat(55),
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-1`,
    `00-${TRACE}-${SPAN}-01-more`,
    `01-${TRACE}-${SPAN}-01more`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00_${TRACE}-${SPAN}-01`,
    ` 00-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01\n`,
    `00-${TRACE}-${SPAN}-01-${'x'.repeat(300)}`,
  ];
  for (const text of malformed) assert.equal(parseTraceparent(text), undefined, JSON.stringify(text));
});

test('ids are hex of the right length and do not repeat, also across refills of the entropy', () => {
  const ids = new Set(Array.from({ length: 5_000 }, () => newTraceId() + newSpanId()));
  assert.equal(ids.size, 5_000);
  for (const id of ids) assert.match(id, /^[0-9a-f]{48}$/);
});

test('the trace id of a traceparent can be shown, that of none is empty', () => {
  assert.equal(traceIdOf(`00-${TRACE}-${SPAN}-01`), TRACE);
  assert.equal(traceIdOf(''), '');
});
