import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { recordSpan } from '../../src/spans.ts';
import { startTelemetry } from '../../src/start.ts';

const PACKAGE = fileURLToPath(new URL('../..', import.meta.url));
/** Where all that was recorded must arrive: a pause of this process must not look like a receiver that does not answer. */
const patient = { closeTimeoutMs: 60_000 };
const span = { name: 'request', traceparent: '', root: true, startMs: 1, endMs: 2 };

/** A receiver of exports that answers with `status`, and counts. */
async function collector(status: number) {
  const bodies: number[] = [];
  const server = createServer(async (request, response) => {
    let bytes = 0;
    for await (const chunk of request) bytes += chunk.length;
    bodies.push(bytes);
    response.writeHead(status).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    bodies,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function warnings() {
  const lines: Record<string, unknown>[] = [];
  return { lines, logger: { warn: (fields: Record<string, unknown> | string) => void lines.push(Object(fields)) } };
}

test('dispose sends what is waiting, in batches of at most 512', async () => {
  await using receiver = await collector(200);
  {
    await using _ = await startTelemetry({ ...patient, service: 's', instance: 's-1', otlpEndpoint: receiver.url });
    for (let count = 0; count < 1_300; count += 1) recordSpan(span);
  }
  assert.equal(receiver.bodies.length, 3);
  const before = receiver.bodies.length;
  recordSpan(span);
  assert.equal(receiver.bodies.length, before, 'nothing is recorded after dispose');
});

test('a receiver that refuses costs one warning, and nothing is thrown', async () => {
  await using receiver = await collector(400);
  const { lines, logger } = warnings();
  {
    await using _ = await startTelemetry({
      ...patient,
      ...{ service: 's', instance: 's-1', otlpEndpoint: receiver.url, logger },
    });
    for (let count = 0; count < 3_000; count += 1) recordSpan(span);
  }
  assert.ok(receiver.bodies.length >= 1);
  assert.ok(lines.length <= 1, `${lines.length} warnings`);
});

test('a receiver that is away delays the end by 2 s at most, and what is beyond the queue is dropped', async () => {
  const gone = await collector(200);
  await gone[Symbol.asyncDispose]();
  const { lines, logger } = warnings();
  const telemetry = await startTelemetry({ service: 's', instance: 's-1', otlpEndpoint: gone.url, logger });
  for (let count = 0; count < 20_000; count += 1) recordSpan(span);
  const closed = telemetry[Symbol.asyncDispose]().then(() => 'closed');
  // Timers of one process end in their order, however late they are: no clock is read.
  assert.equal(await Promise.race([closed, delay(2_100, 'still waiting', { ref: false })]), 'closed');
  assert.ok(lines.length <= 1, `${lines.length} warnings`);
});

test('two services in one process record through the newest, and come and go in any order', async () => {
  await using first = await collector(200);
  await using second = await collector(200);
  const one = await startTelemetry({ ...patient, service: 'one', instance: 'one-1', otlpEndpoint: first.url });
  const two = await startTelemetry({ ...patient, service: 'two', instance: 'two-1', otlpEndpoint: second.url });
  recordSpan(span);
  await two[Symbol.asyncDispose]();
  recordSpan(span);
  await one[Symbol.asyncDispose]();
  assert.deepEqual([first.bodies.length, second.bodies.length], [1, 1]);
  assert.equal(recordSpan(span), '');
});

test('an endpoint that is no URL is refused at start', async () => {
  await assert.rejects(startTelemetry({ service: 's', instance: 's-1', otlpEndpoint: 'localhost' }), /Invalid URL/);
});

test('without an endpoint no part of the SDK is loaded', async () => {
  const script = `
    import { registerHooks } from 'node:module';
    const loaded = [];
    registerHooks({ resolve: (name, context, next) => (loaded.push(name), next(name, context)) });
    const { startTelemetry } = await import('./src/start.ts');
    const { recordSpan } = await import('./src/spans.ts');
    await using telemetry = await startTelemetry({ service: 's', instance: 's-1', otlpEndpoint: '' });
    recordSpan({ name: 'x', traceparent: '', root: true, startMs: 1, endMs: 2 });
    process.stdout.write(loaded.filter((name) => name.includes('opentelemetry')).join());
  `;
  const args = ['--input-type=module', '-e', script];
  const child = spawn(process.execPath, args, { cwd: PACKAGE, stdio: ['ignore', 'pipe', 'inherit'] });
  assert.equal(await text(child.stdout), '@opentelemetry/api');
});
