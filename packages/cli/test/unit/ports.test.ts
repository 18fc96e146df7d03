import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MOST_INSTANCES } from '../../src/args.ts';
import { HIGHEST_PORT_BASE, planPorts, type Scale } from '../../src/ports.ts';

const ONE_EACH: Scale = { gateway: 1, cache: 1, 'feature-service': 1, batcher: 1, 'gpu-worker': 1 };

test('one of each has the ports that the design names', () => {
  const { nats, redis, otlp, instances } = planPorts(8000, ONE_EACH);
  assert.deepEqual({ nats, redis, otlp }, { nats: 8010, redis: 8011, otlp: 8012 });
  assert.deepEqual(Object.fromEntries(instances.map(({ name, ports }) => [name, ports])), {
    'gateway-1': { http: 8000, grpc: 8001, health: 8002 },
    'cache-1': { grpc: 8020, health: 8021 },
    'feature-service-1': { grpc: 8030, health: 8031 },
    'batcher-1': { grpc: 8040, health: 8041 },
    'gpu-worker-1': { grpc: 8050, health: 8051 },
  });
});

test('further gateways take the next three ports, further instances of the others the next pair', () => {
  const { instances } = planPorts(8000, { ...ONE_EACH, gateway: 2, batcher: 2 });
  const ports = (name: string) => instances.find((instance) => instance.name === name)?.ports;
  assert.deepEqual(ports('gateway-2'), { http: 8003, grpc: 8004, health: 8005 });
  assert.deepEqual(ports('batcher-2'), { grpc: 8042, health: 8043 });
});

test('at the largest scale no port is planned twice, and none beyond 65535 or base + 59', () => {
  const plan = planPorts(HIGHEST_PORT_BASE, MOST_INSTANCES);
  const all = [plan.nats, plan.redis, plan.otlp, ...plan.instances.flatMap(({ ports }) => Object.values(ports))];
  assert.equal(new Set(all).size, all.length);
  assert.ok(Math.max(...all) <= Math.min(65_535, HIGHEST_PORT_BASE + 59));
});
