import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseTraceparent } from '@spillway/telemetry/propagation';
import { startOtlpReceiver } from '../../src/traces/otlp-receiver.ts';
import type { TraceSpan } from '../../src/traces/trace.ts';
import { openTraceStore } from '../../src/traces/trace-store.ts';

const PACKAGE = fileURLToPath(new URL('../..', import.meta.url));

/** Runs a service of a few lines in a process of its own; `body` sees the telemetry API and leaves text in `result`. */
async function runService(service: string, endpoint: string, body: string): Promise<{ result: string; pid: number }> {
  const script = `
    import { startTelemetry } from '@spillway/telemetry/start';
    import { childTraceparent, recordSpan, startSpan } from '@spillway/telemetry/spans';
    import { batchTraceparent, recordBatch, recordBatchExecute } from '@spillway/telemetry/batch-links';
    await using telemetry = await startTelemetry({
      service: '${service}', instance: '${service}-1', otlpEndpoint: '${endpoint}', closeTimeoutMs: 60_000,
    });
    const now = () => performance.now();
    let result = '';
    ${body}
    process.stdout.write(result);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: PACKAGE,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const result = await text(child.stdout);
  return { result, pid: child.pid ?? 0 };
}

test('spans of several processes arrive as one tree, and a batch is linked both ways', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'spillway-telemetry-'));
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => rm(dir, { recursive: true, force: true }));
  const store = cleanup.use(await openTraceStore(join(dir, 'traces')));
  const { url } = cleanup.use(await startOtlpReceiver({ store }));

  // The gateway sends its span's id on before the span has ended, as it does with real requests.
  const gateway = await runService(
    'gateway',
    url,
    `const request = startSpan('request', '', { 'spillway.request.id': 'req-1', rows: 3, share: 0.25 }, { root: true, kind: 'server' });
     const id = childTraceparent(request.traceparent);
     const startMs = now();
     recordSpan({ name: 'enqueue', traceparent: request.traceparent, id, startMs, endMs: startMs + 1.5 });
     recordSpan({ name: 'unsampled', traceparent: '', startMs, endMs: startMs + 1 });
     request.end({ code: 'OVERLOADED', message: 'queue of bulk is full' });
     result = request.traceparent;`,
  );
  const worker = await runService(
    'gpu-worker',
    `${url}/`,
    `const requests = ['${gateway.result}', ''];
     const batch = batchTraceparent(requests);
     const times = { startMs: now(), endMs: now() + 4 };
     for (const request of requests) recordBatchExecute({ request, batch, ...times });
     recordBatch({ traceparent: batch, model: 'mlp', requests, attributes: { 'spillway.batch.size': 2 }, ...times });
     result = batch;`,
  );

  const found = store.find('req-1');
  assert.ok(found.kind === 'trace');
  const named = (name: string) => found.trace.spans.find((span) => span.name === name) as TraceSpan;
  assert.deepEqual(found.trace.spans.map((span) => span.name).toSorted(), ['batch.execute', 'enqueue', 'request']);
  const [request, enqueue, execute] = [named('request'), named('enqueue'), named('batch.execute')];

  const own = parseTraceparent(gateway.result);
  assert.deepEqual([request.traceId, request.spanId, request.parentSpanId], [own?.traceId, own?.spanId, '']);
  assert.deepEqual([enqueue.parentSpanId, execute.parentSpanId], [request.spanId, request.spanId]);
  assert.deepEqual([request.service, request.instance, request.pid], ['gateway', 'gateway-1', gateway.pid]);
  assert.deepEqual([execute.service, execute.pid], ['gpu-worker', worker.pid]);
  assert.equal(request.kind, 'server');
  assert.deepEqual(request.error, { code: 'OVERLOADED', message: 'queue of bulk is full' });
  assert.deepEqual([request.attributes['rows'], request.attributes['share']], [3, 0.25]);
  assert.ok(Math.abs(enqueue.durationMs - 1.5) < 0.001);
  assert.ok(Math.abs(request.startMs - Date.now()) < 600_000, 'times are since the epoch');

  const batchId = parseTraceparent(worker.result);
  const batch = store.find(batchId?.traceId ?? '');
  assert.ok(batch.kind === 'trace');
  const [root] = batch.trace.spans;
  assert.deepEqual([root?.name, root?.spanId, root?.parentSpanId], ['batch mlp', batchId?.spanId, '']);
  assert.deepEqual(root?.links, [{ traceId: request.traceId, spanId: request.spanId }]);
  assert.deepEqual(execute.links, [{ traceId: root?.traceId, spanId: root?.spanId }]);
  assert.equal(root?.durationMs, execute.durationMs);
});
