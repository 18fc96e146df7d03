import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batchTraceparent } from '@spillway/telemetry/batch-links';
import { installSink, type SpanSink } from '@spillway/telemetry/span-sink';
import { startSpan } from '@spillway/telemetry/spans';
import { startNatsServer } from '@spillway/testing/nats-server';
import { until } from '@spillway/testing/until';
import { gpuWorkerConfig } from '../../src/config.ts';
import { startGpuWorker } from '../../src/service.ts';
import { startBatcherPeer } from '../support/batcher-peer.ts';
import { makeBatch } from '../support/batches.ts';
import { makeRepository } from '../support/fixtures.ts';
import { fp32 } from '../support/tensors.ts';
import { openInbox } from '../support/worker.ts';

type Span = Parameters<SpanSink['accept']>[0];

test('a sampled request gets batch.execute in its trace, linked to the batch, and in it the run with its executor’s process', async () => {
  const spans: Span[] = [];
  const uninstall = installSink({
    resource: {} as SpanSink['resource'],
    scope: { name: 'test' },
    accept: (span) => spans.push(span),
  });
  await using closing = new AsyncDisposableStack();
  closing.defer(uninstall);
  const nats = closing.use(await startNatsServer());
  const models = closing.use(await makeRepository({ linear: { graph: 'linear' } }));
  const batcher = closing.use(await startBatcherPeer(nats.url, 'batcher-1'));
  const inbox = closing.use(await openInbox(nats.url));
  const env = {
    NATS_URL: nats.url,
    GPU_WORKER_MODELS: models.dir,
    GPU_WORKER_EXECUTORS: '1',
    GPU_WORKER_RUN_LIMIT_MS: '60000',
    GPU_WORKER_GRPC_PORT: '0',
    GPU_WORKER_HEALTH_PORT: '0',
    LOG_LEVEL: 'silent',
  };
  const worker = closing.use(await startGpuWorker(gpuWorkerConfig.load(env), process.env));
  const stream = await batcher.worker('linear');

  const request = startSpan('request', '', {}, { root: true });
  const batch = makeBatch('linear', [[fp32('x', [1, 3], [1, 0, 0])], [fp32('x', [1, 3], [2, 0, 0])]], {
    replyTo: [inbox.subject],
  });
  batch.items[1]!.traceparent = request.traceparent;
  batch.traceparent = batchTraceparent(['', request.traceparent]);
  batcher.send(stream, batch);
  await inbox.wait(batch.batchId);
  await until('the spans', () => spans.length >= 3);

  assert.deepEqual(
    spans.map(({ name }) => name).sort(),
    ['batch.execute', 'model.run', 'reply'],
    'none for the other request',
  );
  const named = (name: string) => spans.find((span) => span.name === name)!;
  const [execute, run, reply] = [named('batch.execute'), named('model.run'), named('reply')];
  const [, traceId, spanId] = request.traceparent.split('-');
  for (const span of spans) assert.equal(span.spanContext().traceId, traceId);
  assert.equal(execute.parentSpanContext?.spanId, spanId);
  assert.equal(reply.parentSpanContext?.spanId, spanId);
  assert.equal(run.parentSpanContext?.spanId, execute.spanContext().spanId);
  assert.deepEqual(
    execute.links.map(({ context }) => context.traceId),
    [batch.traceparent.split('-')[1]],
  );
  const { 'spillway.run.ms': runMs, ...attributes } = execute.attributes;
  assert.ok(Number(runMs) > 0);
  assert.deepEqual(attributes, {
    'spillway.batch.id': batch.batchId,
    'spillway.batch.size': 2,
    'spillway.rows': 2,
    'spillway.model': 'linear',
    'spillway.version': '1',
    'spillway.batch.closed_by': 'idle',
    'spillway.request.id': batch.items[1]!.requestId,
  });
  assert.deepEqual([run.attributes['process.executor.pid']], worker.executorPids());
  const at = ([seconds, nanos]: readonly [number, number]) => seconds * 1e3 + nanos / 1e6;
  assert.ok(
    at(run.startTime) >= at(execute.startTime) - 0.01 && at(run.endTime) <= at(execute.endTime) + 0.01,
    'inside it',
  );

  const unsampled = makeBatch('linear', [[fp32('x', [1, 3], [1, 0, 0])]], { replyTo: [inbox.subject] });
  batcher.send(stream, unsampled);
  await inbox.wait(unsampled.batchId);
  assert.equal(spans.length, 3);
  await worker.drain(30_000);
});
