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
import { headerOf, infer } from '../support/infer.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';
import { sampleClients } from '../support/sample-clients.ts';

const NAMES = ['request', 'cache.get', 'features.fetch', 'enqueue', 'queue.wait', 'batch.execute', 'reply'];
const CALLER = 'b7ad6b7169203331';
const MOST_TRIES = 3; // whoever has to wait too long for the receiver of spans gives them up
const COMES_WITHIN_MS = 20_000;
const SENT_EVERY_MS = 1_200; // spans are sent once a second

const orphansOf = (spans: readonly TraceSpan[]): TraceSpan[] => {
  const ids = new Set(spans.map((span) => span.spanId));
  return spans.filter((span) => !ids.has(span.parentSpanId) && span.parentSpanId !== CALLER);
};

/** Every service has told of it, and no span misses the one above it. */
const isWhole = (spans: readonly TraceSpan[]): boolean =>
  new Set(spans.map((span) => span.service)).size === SERVICES.length &&
  NAMES.every((name) => spans.some((span) => span.name === name)) &&
  orphansOf(spans).length === 0;

/** The spans of a trace once it is whole and none has come for a while, or as it is when the time is over. */
async function settledTrace(store: TraceStore, id: string): Promise<readonly TraceSpan[]> {
  const endMs = performance.now() + COMES_WITHIN_MS;
  let count = -1;
  for (;;) {
    const found = store.find(id);
    const spans = found.kind === 'trace' ? found.trace.spans : [];
    if ((isWhole(spans) && spans.length === count) || performance.now() > endMs) return spans;
    count = spans.length;
    await delay(SENT_EVERY_MS);
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
  const clients = sampleClients();
  const ask = (client: string, headers: Record<string, string> = {}) =>
    infer({
      address: mesh.url.slice('http://'.length),
      model: 'credit-risk',
      body: { inputs: [{ name: 'client_id', datatype: 'BYTES', shape: [1, 1], data: [client] }] },
      headers,
    });
  const endMs = performance.now() + 60_000;
  while (headerOf(await ask(clients[0]!), 'spillway-cache') !== 'hit') {
    assert.ok(performance.now() < endMs, 'the gateway does not reach the cache');
    await delay(20);
  }

  let spans: readonly TraceSpan[] = [];
  for (let n = 1; n <= MOST_TRIES && !isWhole(spans); n += 1) {
    const traceId = `0af7651916cd43dd8448eb211c80319${n}`;
    const reply = await ask(clients[n]!, { traceparent: `00-${traceId}-${CALLER}-01` });
    assert.equal(reply.status, 200, reply.text);
    assert.equal(headerOf(reply, 'spillway-trace-id'), traceId);
    spans = await settledTrace(store, traceId);
  }
  assert.deepEqual([...new Set(spans.map((span) => span.service))].sort(), [...SERVICES].sort());
  const pids = new Set(spans.map((span) => span.pid));
  assert.deepEqual(pids, new Set(mesh.instances.map((instance) => instance.pid)), 'spans are made by who did the work');
  assert.deepEqual(
    orphansOf(spans).map((span) => span.name),
    [],
    'every span hangs in the tree below the caller',
  );
  const names = new Set(spans.map((span) => span.name));
  for (const name of NAMES) {
    assert.ok(names.has(name), `span "${name}" is among ${[...names]}`);
  }
  const sources = spans.filter((span) => span.name === 'features.source').map((s) => s.attributes['spillway.source']);
  assert.deepEqual(sources.sort(), ['redis', 'sqlite'], 'one span for each source');
});
