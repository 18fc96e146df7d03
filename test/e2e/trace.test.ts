import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startOtlpReceiver } from '@spillway/cli/traces/otlp-receiver';
import type { TraceSpan } from '@spillway/cli/traces/trace';
import { openTraceStore, type TraceStore } from '@spillway/cli/traces/trace-store';
import { SERVICES } from '@spillway/testing/mesh';
import { casesOf, oipRequest } from '../support/cases.ts';
import { headerOf, infer } from '../support/infer.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';

/** The spans of a trace once they come from `services` services and none has come for a while. */
async function settledTrace(store: TraceStore, id: string, services: number): Promise<readonly TraceSpan[]> {
  const endMs = performance.now() + 10_000;
  let count = -1;
  for (;;) {
    const found = store.find(id);
    const spans = found.kind === 'trace' ? found.trace.spans : [];
    const enough = new Set(spans.map((span) => span.service)).size >= services;
    if ((enough && spans.length === count) || performance.now() > endMs) return spans;
    count = spans.length;
    await delay(1_200); // spans are sent once a second
  }
}

test('a credit-risk request gives one trace with spans of five services and five processes, in one tree', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'spillway-traces-'));
  await using closing = new AsyncDisposableStack();
  closing.defer(() => rm(dir, { recursive: true, force: true }));
  const store = closing.use(await openTraceStore(dir));
  const receiver = closing.use(await startOtlpReceiver({ store }));
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url };
  const mesh = closing.use(await startSeededMesh({ serves: ['credit-risk'], env }));
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const caller = 'b7ad6b7169203331';
  const reply = await infer({
    address: mesh.url.slice('http://'.length),
    model: 'credit-risk',
    body: oipRequest(casesOf('credit-risk')[0]!),
    headers: { traceparent: `00-${traceId}-${caller}-01` },
  });
  assert.equal(reply.status, 200, reply.text);
  assert.equal(headerOf(reply, 'spillway-trace-id'), traceId);

  const spans = await settledTrace(store, traceId, SERVICES.length);
  assert.deepEqual([...new Set(spans.map((span) => span.service))].sort(), [...SERVICES].sort());
  const pids = new Set(spans.map((span) => span.pid));
  assert.deepEqual(pids, new Set(mesh.instances.map((instance) => instance.pid)), 'spans are made by who did the work');
  const ids = new Set(spans.map((span) => span.spanId));
  const orphans = spans.filter((span) => !ids.has(span.parentSpanId) && span.parentSpanId !== caller);
  assert.deepEqual(
    orphans.map((span) => span.name),
    [],
    'every span hangs in the tree below the caller',
  );
  const names = new Set(spans.map((span) => span.name));
  for (const name of ['request', 'cache.get', 'features.fetch', 'enqueue', 'queue.wait', 'batch.execute', 'reply']) {
    assert.ok(names.has(name), `span "${name}" is among ${[...names]}`);
  }
  const sources = spans.filter((span) => span.name === 'features.source').map((s) => s.attributes['spillway.source']);
  assert.deepEqual(sources.sort(), ['redis', 'sqlite'], 'one span for each source');
});
