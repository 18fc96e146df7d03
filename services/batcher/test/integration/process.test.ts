import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectBus } from '@spillway/bus/connect';
import { openBucket } from '@spillway/bus/kv';
import { watchLeases } from '@spillway/bus/leases';
import { MODELS, type ModelRecord } from '@spillway/contracts/buckets';
import { monotonicClock } from '@spillway/lifecycle/clock';
import { freePort } from '@spillway/testing/free-port';
import { startNatsServer } from '@spillway/testing/nats-server';
import { startProcess } from '@spillway/testing/process';
import { until } from '@spillway/testing/until';
import { item, RECORD, TestGateway, TestWorker } from './bench.ts';

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;

test('started alone it is live but not ready until NATS is there, takes a lease, records its batches and ends in order', async () => {
  const [natsPort, grpc, health] = [await freePort(), await freePort(), await freePort()];
  await using batcher = await startProcess({
    name: 'batcher',
    file: MAIN,
    env: {
      NATS_URL: `nats://127.0.0.1:${natsPort}`,
      SPILLWAY_INSTANCE: 'batcher-1',
      BATCHER_GRPC_PORT: String(grpc),
      BATCHER_HEALTH_PORT: String(health),
      LOG_LEVEL: 'debug',
    },
    readyUrl: `http://127.0.0.1:${health}/livez`,
    readyTimeoutMs: 60_000,
  });
  const ready = await fetch(`http://127.0.0.1:${health}/readyz`);
  assert.equal(ready.status, 503);
  assert.deepEqual(await ready.json(), { state: 'starting', waiting_for: ['nats'] });

  await using nats = await startNatsServer({ port: natsPort });
  await until('ready', async () => (await fetch(`http://127.0.0.1:${health}/readyz`)).status === 200);
  await using bus = await connectBus({ url: nats.url, service: 'gateway', instance: 'gateway-1' });
  const leases = watchLeases(bus, 'batcher', monotonicClock);
  await until('its lease', () => leases.list().length === 1);
  assert.deepEqual(leases.list(), [
    { service: 'batcher', instance: 'batcher-1', address: `127.0.0.1:${grpc}`, state: 'ready' },
  ]);

  await openBucket<ModelRecord>(bus, MODELS).put('m', RECORD);
  const worker = new TestWorker(`127.0.0.1:${grpc}`, { credits: 1, auto: true });
  await new TestGateway(bus).publish('vip', [item(5), item(6)]);
  const record = await batcher.record(({ msg }) => msg === 'batch', 30_000);
  const { batch_id, model, class: trafficClass, rows, closed_by, queue_ms, seqs, request_ids } = record;
  assert.deepEqual(
    { model, trafficClass, rows, closed_by, seqs, request_ids },
    { model: 'm', trafficClass: 'vip', rows: 2, closed_by: 'idle', seqs: '5 6', request_ids: 'r5 r6' },
  );
  assert.equal(typeof batch_id, 'string');
  assert.ok(Number(queue_ms) >= 0);

  leases.stop();
  await batcher.kill('SIGTERM');
  assert.equal(batcher.end, 0, batcher.tail());
  await worker.close();
});

test('a faulty configuration ends it at once with every fault in one report and exit code 78', async () => {
  await using batcher = await startProcess({
    name: 'batcher',
    file: MAIN,
    env: { BATCHER_GRPC_PORT: 'eight', BATCHER_JOBS_SHARE: '2', BATCHER_WINDOW: '1' },
  });
  await batcher.exited;
  assert.equal(batcher.end, 78);
  for (const variable of ['BATCHER_GRPC_PORT', 'BATCHER_JOBS_SHARE', 'BATCHER_WINDOW']) {
    assert.match(batcher.tail(), new RegExp(variable));
  }
});
