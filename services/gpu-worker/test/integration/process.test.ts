import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort } from '@spillway/testing/free-port';
import { startNatsServer } from '@spillway/testing/nats-server';
import { startProcess } from '@spillway/testing/process';
import { until } from '@spillway/testing/until';
import { makeRepository } from '../support/fixtures.ts';
import { startWorker } from '../support/worker.ts';

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;

test('started alone it loads its models and is live but not ready until NATS is there', async () => {
  await using models = await makeRepository({ linear: { graph: 'linear' } });
  const port = await freePort();
  await using worker = await startWorker(`nats://127.0.0.1:${port}`, models.dir, {}, 'livez');
  const probe = await fetch(`${worker.url}/readyz`);
  assert.equal(probe.status, 503);
  const body = (await probe.json()) as { waiting_for: string[] };
  assert.ok(body.waiting_for.includes('nats'));
  await worker.record(({ msg }) => msg === 'a model was loaded', 60_000);
  await using _nats = await startNatsServer({ port });
  await until('ready', async () => (await fetch(`${worker.url}/readyz`)).status === 200);
  assert.deepEqual(await (await fetch(`${worker.url}/readyz`)).json(), { state: 'ready', waiting_for: [] });
});

test('with no model that can be served it stays live, not ready, and says why', async () => {
  await using nats = await startNatsServer();
  await using models = await makeRepository({
    bad: { graph: 'bfloat16' },
    worse: { graph: 'linear', yaml: 'max_batch_size: -1' },
  });
  await using worker = await startWorker(nats.url, models.dir, {}, 'livez');
  const record = await worker.record(({ msg }) => String(msg).startsWith('no model can be served'), 60_000);
  const failed = record['failed'] as { model: string; error: string }[];
  assert.deepEqual(failed.map(({ model }) => model).sort(), ['bad', 'worse']);
  assert.match(
    failed.find(({ model }) => model === 'worse')?.error ?? '',
    /worse\/model\.yaml: max_batch_size: expected integer/,
  );
  await until('it waits for models only', async () => {
    const probe = await fetch(`${worker.url}/readyz`);
    assert.equal(probe.status, 503);
    return ((await probe.json()) as { waiting_for: string[] }).waiting_for.join() === 'models';
  });
});

test('a faulty configuration ends it at once with every fault in one report and exit code 78', async () => {
  const env = { GPU_WORKER_PROVIDER: 'tpu', GPU_WORKER_EXECUTORS: '-1', GPU_WORKER_MODEL: 'x' };
  await using worker = await startProcess({ name: 'gpu-worker', file: MAIN, env });
  await worker.exited;
  assert.equal(worker.end, 78);
  for (const text of ['GPU_WORKER_PROVIDER', 'GPU_WORKER_EXECUTORS', 'did you mean GPU_WORKER_MODELS?']) {
    assert.ok(worker.tail().includes(text), worker.tail());
  }
});

test('a model folder that is not there ends it with a message that names the variable', async () => {
  await using worker = await startProcess({
    name: 'gpu-worker',
    file: MAIN,
    env: { GPU_WORKER_MODELS: '/nowhere/models', GPU_WORKER_GRPC_PORT: '0', GPU_WORKER_HEALTH_PORT: '0' },
  });
  await worker.exited;
  assert.equal(worker.end, 78);
  assert.match(worker.tail(), /GPU_WORKER_MODELS/);
});
