import assert from 'node:assert/strict';
import { test } from 'node:test';
import { installSink, type SpanSink } from '@spillway/telemetry/span-sink';
import { childTraceparent } from '@spillway/telemetry/spans';
import { until } from '@spillway/testing/until';
import { item, MeshBench } from './bench.ts';

type Span = Parameters<SpanSink['accept']>[0];

/** Collects the spans of the test instead of exporting them. */
function collectSpans(): Disposable & { spans: Span[] } {
  const spans: Span[] = [];
  const resource = { attributes: {} } as unknown as SpanSink['resource'];
  const uninstall = installSink({ resource, scope: { name: 'test' }, accept: (span) => spans.push(span) });
  return { spans, [Symbol.dispose]: uninstall };
}

test('a sampled request has its wait in its own trace, and the batch is a root span linked to it', async () => {
  using collected = collectSpans();
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  const worker = bench.worker(batcher, { credits: 1 });
  const request = childTraceparent('', { root: true });
  await bench.gateway.publish('standard', [item(1, { traceparent: request }), item(2)]);
  const batch = await worker.batch(0);
  assert.match(batch.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  assert.notEqual(batch.traceparent.slice(3, 35), request.slice(3, 35));
  worker.done(batch);
  await until('the batch span', () => collected.spans.some(({ name }) => name === 'batch m'));

  const wait = collected.spans.find(({ name }) => name === 'queue.wait');
  assert.equal(wait?.spanContext().traceId, request.slice(3, 35));
  assert.equal(wait?.parentSpanContext?.spanId, request.slice(36, 52));
  assert.equal(wait?.attributes['spillway.batch.id'], batch.batchId);
  assert.equal(wait?.attributes['spillway.batch.closed_by'], 'idle');
  assert.equal(
    collected.spans.filter(({ name }) => name === 'queue.wait').length,
    1,
    'an unsampled request made a span',
  );

  const root = collected.spans.find(({ name }) => name === 'batch m');
  assert.equal(root?.spanContext().spanId, batch.traceparent.slice(36, 52));
  assert.equal(root?.parentSpanContext, undefined);
  assert.deepEqual(
    root?.links.map(({ context }) => context.spanId),
    [request.slice(36, 52)],
  );
  assert.equal(root?.attributes['spillway.batch.size'], 2);
});

test('a batch without a sampled request has no span', async () => {
  using collected = collectSpans();
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  const worker = bench.worker(batcher, { credits: 1, auto: true });
  await bench.gateway.publish('standard', [item(1)]);
  const batch = await worker.batch(0);
  assert.equal(batch.traceparent, '');
  assert.deepEqual(
    collected.spans.filter(({ name }) => name === 'queue.wait' || name.startsWith('batch')),
    [],
  );
});

test('the metrics count waits, sizes, pulls and what did not run', async () => {
  await using bench = await MeshBench.start();
  const batcher = await bench.batcher();
  const worker = bench.worker(batcher, { credits: 1 });
  await bench.gateway.publish('standard', [item(1), item(2)]);
  const first = await worker.batch(0);
  await bench.gateway.publish('vip', [item(3), item(4)]);
  await bench.holds(batcher, 'vip', 2);
  const page = await (await fetch(`http://127.0.0.1:${batcher.ports.health}/metrics`)).text();
  const value = (line: RegExp) => Number(line.exec(page)?.[1] ?? Number.NaN);
  assert.equal(value(/^spillway_queue_wait_seconds_count\{service="batcher",class="standard",model="m"\} (\d+)/m), 2);
  assert.equal(value(/^spillway_batch_size_rows_sum\{service="batcher",model="m",closed_by="idle"\} (\d+)/m), 2);
  assert.equal(value(/^spillway_queue_rows\{service="batcher",class="vip",model="m"\} (\d+)/m), 2);
  assert.equal(value(/^spillway_batcher_in_flight_batches\{.*\} (\d+)/m), 1);
  assert.equal(value(/^spillway_batcher_held_frames\{.*\} (\d+)/m), 1);
  assert.ok(value(/^spillway_batcher_pulls_total\{service="batcher",class="vip",model="m"\} (\d+)/m) >= 1);
  await bench.gateway.publish('vip', [item(5, { budgetMs: 50 })]);
  const expired = () => bench.metric(batcher, 'spillway_batcher_dropped_total', { class: 'vip', reason: 'expired' });
  await until('one has expired although no instance is free', async () => (await expired()) === 1);
  await bench.holds(batcher, 'vip', 2);
  worker.done(first);
  worker.credits(1);
  await worker.batch(1);
  assert.deepEqual(worker.seqs(), [1, 2, 3, 4]);
});
