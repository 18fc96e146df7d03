import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { isReadmeTableCurrent } from '@spillway/config/print-table';
import { executorEnvironment, executorsOf, gpuWorkerConfig, providersOf, SERVICE_DIR } from '../../src/config.ts';

test('every variable has a default that works on a laptop', () => {
  const config = gpuWorkerConfig.load({});
  assert.deepEqual(
    [config.host, config.grpcPort, config.healthPort, config.provider],
    ['127.0.0.1', 8050, 8051, 'cpu'],
  );
  assert.match(config.models, /\/models$/);
  assert.ok(executorsOf(config) >= 1);
  assert.equal(executorsOf({ executors: 3 }), 3);
});

test('another provider runs alone unless falling back is allowed', () => {
  assert.deepEqual(providersOf({ provider: 'cuda', providerFallback: false }), ['cuda']);
  assert.deepEqual(providersOf({ provider: 'cuda', providerFallback: true }), ['cuda', 'cpu']);
  assert.deepEqual(providersOf({ provider: 'cpu', providerFallback: true }), ['cpu']);
});

test('executors get no address and no secret of the worker’s', () => {
  const env = {
    PATH: '/bin',
    NATS_URL: 'nats://user:secret@host',
    NODE_OPTIONS: '--inspect',
    CUDA_VISIBLE_DEVICES: '0',
    AWS_SECRET: 'x',
  };
  assert.deepEqual(executorEnvironment(env), { PATH: '/bin', CUDA_VISIBLE_DEVICES: '0' });
});

test('the table of variables in the README is the one of the schema', () => {
  assert.ok(isReadmeTableCurrent(join(SERVICE_DIR, 'README.md'), gpuWorkerConfig), 'run: node test/print-readme.ts');
});
