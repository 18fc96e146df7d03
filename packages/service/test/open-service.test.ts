import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { watchLeases } from '@spillway/bus/leases';
import { commonFields } from '@spillway/config/common';
import { defineConfig } from '@spillway/config/define-config';
import { env } from '@spillway/config/env';
import { monotonicClock } from '@spillway/lifecycle/clock';
import { startNatsServer } from '@spillway/testing/nats-server';
import { until } from '@spillway/testing/until';
import { openService } from '../src/open-service.ts';

const { fields, load } = defineConfig({
  service: 'cache',
  prefix: 'CACHE_',
  fields: {
    ...commonFields('cache'),
    host: env.string('CACHE_HOST', { default: '127.0.0.1', doc: 'Where it listens.' }),
  },
});
const configOf = (natsUrl: string) =>
  load({ NATS_URL: natsUrl, SPILLWAY_INSTANCE: 'cache-1', LOG_LEVEL: 'silent', CACHE_HOST: '127.0.0.1' });

test('it is live before NATS is there, ready when it says so, and stopped at the end', async () => {
  await using nats = await startNatsServer();
  await using service = await openService({ service: 'cache', config: configOf(nats.url), fields, healthPort: 0 });
  const { state } = service;
  const readiness = async () => {
    const answer = await fetch(`http://127.0.0.1:${service.health.port}/readyz`);
    return [answer.status, await answer.json()];
  };
  assert.deepEqual(await readiness(), [503, { state: 'starting', waiting_for: ['nats'] }]);

  await using bus = await service.connectBus();
  service.waitingFor.add('models');
  assert.deepEqual(await readiness(), [503, { state: 'starting', waiting_for: ['models'] }]);
  service.waitingFor.delete('models');
  state.set('ready');
  assert.deepEqual(await readiness(), [200, { state: 'ready', waiting_for: [] }]);

  await nats.kill('SIGKILL');
  await until('it is missed', async () => (await readiness())[0] === 200 && service.waitingFor.has('nats'));
  await nats.restart();
  await until('it is back', () => bus.up && !service.waitingFor.has('nats'));
  await service[Symbol.asyncDispose]();
  assert.equal(state.get(), 'stopped');
});

test('the registry says what an instance announces, that it drains, and nothing of it afterwards', async () => {
  await using nats = await startNatsServer();
  await using service = await openService({ service: 'cache', config: configOf(nats.url), fields, healthPort: 0 });
  await using bus = await service.connectBus();
  await using seen = {
    watch: watchLeases(bus, 'cache', monotonicClock),
    [Symbol.asyncDispose]: async () => seen.watch.stop(),
  };
  const instances = () => seen.watch.list();
  const own = { service: 'cache', instance: 'cache-1' };
  let address = '127.0.0.1:1';
  service.state.set('ready');
  await using lease = service.announce(bus, () => ({ address }));
  await until('it is announced', () => instances().length === 1);
  assert.deepEqual(instances(), [{ ...own, state: 'ready', address: '127.0.0.1:1' }]);
  address = '127.0.0.1:2';
  service.state.set('draining');
  lease.refresh();
  await until('the change is heard of', () => instances()[0]?.state === 'draining');
  assert.deepEqual(instances(), [{ ...own, state: 'draining', address: '127.0.0.1:2' }]);
  await lease[Symbol.asyncDispose]();
  await until('it has left', () => instances().length === 0);
});

test('where its port is taken it fails with the listen error', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  try {
    const { port } = other.address() as { port: number };
    const config = configOf('nats://127.0.0.1:1');
    await assert.rejects(openService({ service: 'cache', config, fields, healthPort: port }), { code: 'EADDRINUSE' });
  } finally {
    other.close();
  }
});
