import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commonFields, prefixOf } from '../src/common.ts';
import { defineConfig } from '../src/define-config.ts';
import { env } from '../src/env.ts';
import { redact } from '../src/redact.ts';

const schema = defineConfig({
  service: 'gpu-worker',
  prefix: prefixOf('gpu-worker'),
  fields: {
    ...commonFields('gpu-worker'),
    key: env.string('GPU_WORKER_KEY', { default: '', secret: true, doc: 'x' }),
  },
});

test('the fields that every service shares have defaults that work on a laptop', () => {
  const { instance, ...rest } = schema.load({});
  assert.match(instance, /^gpu-worker-[0-9a-f]{8}$/);
  assert.deepEqual(rest, {
    natsUrl: 'nats://127.0.0.1:8010',
    logLevel: 'info',
    drainTimeoutMs: 10_000,
    otlpEndpoint: '',
    key: '',
  });
});

test('two loads without a name are two instances, a given name is kept', () => {
  assert.notEqual(schema.load({}).instance, schema.load({}).instance);
  assert.equal(schema.load({ SPILLWAY_INSTANCE: 'w-1' }).instance, 'w-1');
  assert.throws(() => schema.load({ SPILLWAY_INSTANCE: 'w.1' }), /SPILLWAY_INSTANCE: expected a text like/);
});

test('the drain time has the prefix of its service', () => {
  assert.equal(schema.load({ GPU_WORKER_DRAIN_TIMEOUT_MS: '5' }).drainTimeoutMs, 5);
});

test('a configuration in a log shows no secret and no credentials', () => {
  const config = schema.load({ GPU_WORKER_KEY: 'hunter2', NATS_URL: 'nats://u:pw@a:1,nats://t0ken@b:2' });
  const logged = redact(schema.fields, config);
  assert.equal(logged['key'], '***');
  assert.equal(logged['natsUrl'], 'nats://***@a:1,nats://***@b:2');
  assert.equal(logged['drainTimeoutMs'], 10_000);
});
