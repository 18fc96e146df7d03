import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { batchTraceparent, recordBatch, recordBatchExecute } from '../../src/batch-links.ts';
import { parseTraceparent } from '../../src/propagation.ts';
import { installSink } from '../../src/span-sink.ts';
import { childTraceparent, recordSpan, startSpan } from '../../src/spans.ts';

const PARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const UNSAMPLED = PARENT.replace(/01$/, '00');

let spans: ReadableSpan[] = [];
let uninstall = () => {};

beforeEach(() => {
  spans = [];
  uninstall = installSink({
    resource: { attributes: {}, merge: () => assert.fail(), getRawAttributes: () => [] },
    scope: { name: 'test' },
    accept: (span) => spans.push(span),
  });
});
afterEach(() => uninstall());

const idOf = (span: ReadableSpan | undefined) => span?.spanContext();
const times = { startMs: 10, endMs: 12.5 };

test('a span hangs below its parent, in the same trace', () => {
  const traceparent = recordSpan({ name: 'enqueue', traceparent: PARENT, ...times });
  const own = parseTraceparent(traceparent);
  assert.equal(own?.traceId, '4bf92f3577b34da6a3ce929d0e0e4736');
  assert.equal(idOf(spans[0])?.spanId, own?.spanId);
  assert.equal(spans[0]?.parentSpanContext?.spanId, '00f067aa0ba902b7');
});

test('without a sampled parent nothing is recorded and nothing is handed on', () => {
  for (const traceparent of ['', UNSAMPLED, 'nonsense']) {
    assert.equal(recordSpan({ name: 'x', traceparent, ...times }), '');
    assert.equal(childTraceparent(traceparent), '');
    const active = startSpan('x', traceparent);
    active.set('a', 1);
    active.end();
    assert.equal(active.traceparent, '');
  }
  assert.equal(spans.length, 0);
});

test('root begins a trace, or goes on with the one of an unsampled caller', () => {
  const fresh = recordSpan({ name: 'request', traceparent: '', root: true, ...times });
  assert.equal(parseTraceparent(fresh)?.sampled, true);
  assert.equal(spans[0]?.parentSpanContext, undefined);
  const joined = recordSpan({ name: 'request', traceparent: UNSAMPLED, root: true, ...times });
  assert.equal(parseTraceparent(joined)?.traceId, parseTraceparent(UNSAMPLED)?.traceId);
  assert.equal(parseTraceparent(joined)?.sampled, true);
});

test("a list of the caller's vendors goes on with its trace, and ends where another trace begins", () => {
  const stateOf = (span: ReadableSpan | undefined) => idOf(span)?.traceState?.serialize();
  recordSpan({ name: 'request', traceparent: PARENT, tracestate: 'rojo=1,congo=t61', ...times });
  assert.equal(stateOf(spans[0]), 'rojo=1,congo=t61');
  assert.equal(idOf(spans[0])?.traceState?.get('congo'), 't61');
  recordSpan({ name: 'request', traceparent: 'nonsense', root: true, tracestate: 'rojo=1', ...times });
  recordSpan({ name: 'request', traceparent: PARENT, tracestate: '', ...times });
  assert.deepEqual([stateOf(spans[1]), stateOf(spans[2])], [undefined, undefined]);
});

test('a span keeps the id that was sent ahead of it', () => {
  const id = childTraceparent(PARENT);
  assert.equal(recordSpan({ name: 'request', traceparent: PARENT, id, ...times }), id);
  assert.equal(idOf(spans[0])?.spanId, parseTraceparent(id)?.spanId);
  assert.equal(spans[0]?.parentSpanContext?.spanId, parseTraceparent(PARENT)?.spanId);
});

test('a root whose id was sent ahead has no parent', () => {
  const id = childTraceparent('', { root: true });
  assert.equal(recordSpan({ name: 'request', traceparent: '', id, ...times }), id);
  assert.equal(spans[0]?.parentSpanContext, undefined);
});

test('monotonic times become epoch times with the exact duration', () => {
  recordSpan({ name: 'x', traceparent: PARENT, startMs: 1_000.25, endMs: 1_002.75 });
  const [start, end] = [spans[0]!.startTime, spans[0]!.endTime];
  const microseconds = (time: readonly [number, number]) => time[0] * 1e6 + time[1] / 1e3;
  assert.ok(Math.abs(microseconds(start) - (performance.timeOrigin + 1_000.25) * 1e3) < 25_000, 'within a clock step');
  assert.ok(Math.abs(microseconds(end) - microseconds(start) - 2_500) < 1);
  assert.deepEqual(spans[0]?.duration, [0, 2_500_000]);
});

test('an end before the start is drawn as no duration', () => {
  recordSpan({ name: 'x', traceparent: PARENT, startMs: 5, endMs: 4 });
  assert.deepEqual(spans[0]?.endTime, spans[0]?.startTime);
});

test('an error becomes status and error.type, and an endless message is cut', () => {
  recordSpan({ name: 'x', traceparent: PARENT, ...times, error: { code: 'OVERLOADED', message: 'm'.repeat(5_000) } });
  assert.equal(spans[0]?.status.code, 2);
  assert.equal(spans[0]?.status.message?.length, 1_024);
  assert.deepEqual(spans[0]?.attributes, { 'error.type': 'OVERLOADED' });
});

test('attributes that are undefined are left out', () => {
  recordSpan({ name: 'x', traceparent: PARENT, ...times, attributes: { a: 1, b: undefined, c: false } });
  assert.deepEqual(spans[0]?.attributes, { a: 1, c: false });
});

test('a started span is recorded once, with what was set until its end', () => {
  const span = startSpan('cache.get', PARENT, { a: 1 }, { kind: 'client', startMs: 3 });
  span.set('b', 'two');
  assert.equal(spans.length, 0);
  span.end({ code: 'UNAVAILABLE', message: 'away' });
  span.end();
  span.set('c', 3);
  assert.equal(spans.length, 1);
  assert.equal(idOf(spans[0])?.spanId, parseTraceparent(span.traceparent)?.spanId);
  assert.equal(spans[0]?.kind, 2);
  assert.deepEqual(spans[0]?.attributes, { a: 1, b: 'two', 'error.type': 'UNAVAILABLE' });
});

test('a started root span can be the parent of others', () => {
  const root = startSpan('request', '', {}, { root: true });
  const child = recordSpan({ name: 'enqueue', traceparent: root.traceparent, ...times });
  root.end();
  assert.equal(parseTraceparent(child)?.traceId, idOf(spans[1])?.traceId);
  assert.equal(spans[0]?.parentSpanContext?.spanId, idOf(spans[1])?.spanId);
});

test('where nothing is exported a sampled parent passes through, so that later hops join its trace', () => {
  uninstall();
  assert.equal(recordSpan({ name: 'x', traceparent: PARENT, ...times }), PARENT);
  assert.equal(childTraceparent(PARENT), PARENT);
  assert.equal(startSpan('x', PARENT).traceparent, PARENT);
  assert.equal(recordSpan({ name: 'x', traceparent: '', root: true, ...times }), '');
  assert.equal(startSpan('x', '', {}, { root: true }).traceparent, '');
});

test('a batch is a root linked to its sampled requests, and each of them has a span linked back', () => {
  const requests = [childTraceparent('', { root: true }), '', childTraceparent('', { root: true })];
  const batch = batchTraceparent(requests);
  for (const request of requests)
    recordBatchExecute({ request, batch, attributes: { 'spillway.batch.size': 3 }, ...times });
  recordBatch({ traceparent: batch, model: 'mlp', requests, ...times });

  const [first, second, root] = spans;
  assert.deepEqual(
    spans.map((span) => span.name),
    ['batch.execute', 'batch.execute', 'batch mlp'],
  );
  assert.equal(root?.parentSpanContext, undefined);
  assert.deepEqual(
    root?.links.map((link) => link.context.spanId),
    [requests[0], requests[2]].map((request) => parseTraceparent(request)?.spanId),
  );
  assert.equal(first?.parentSpanContext?.spanId, parseTraceparent(requests[0])?.spanId);
  assert.equal(second?.links[0]?.context.spanId, idOf(root)?.spanId);
  assert.deepEqual([first?.startTime, first?.endTime], [root?.startTime, root?.endTime]);
});

test('a batch of requests that are not sampled leaves no span', () => {
  assert.equal(batchTraceparent(['', '']), '');
  recordBatch({ traceparent: '', model: 'mlp', requests: ['', ''], ...times });
  assert.equal(spans.length, 0);
});

test('links beyond 128 are counted, not kept', () => {
  recordSpan({ name: 'x', traceparent: PARENT, ...times, links: Array.from({ length: 130 }, () => PARENT) });
  assert.equal(spans[0]?.links.length, 128);
  assert.equal(spans[0]?.droppedLinksCount, 2);
});
