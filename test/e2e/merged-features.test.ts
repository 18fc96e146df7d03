import assert from 'node:assert/strict';
import type { Agent } from 'node:http';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startRedisServer } from '@spillway/testing/redis-server';
import { Redis } from 'ioredis';
import { infer, keepAliveAgent } from '../support/infer.ts';
import { metric, seedFeatures, startSeededMesh } from '../support/mesh-fixture.ts';
import { sampleClients } from '../support/sample-clients.ts';

const CALLERS = 64;
const MAX_ROUND_TRIPS = 4;

/** Read events of the server: each is one round trip of a client, whatever the commands in it. */
async function readsOf(redis: Redis): Promise<number> {
  return Number(/total_reads_processed:(\d+)/.exec(await redis.info('stats'))?.[1]);
}

/** Connections on which a request has been handed to the system. */
const sentOn = ({ sockets }: Agent): number =>
  Object.values(sockets)
    .flat()
    .filter((socket) => socket?.writableLength === 0).length;

test(`${CALLERS} concurrent credit-risk calls cause at most ${MAX_ROUND_TRIPS} round trips to each source`, async () => {
  await using features = await startRedisServer(); // its own, so that nobody else's commands are counted
  await using mesh = await startSeededMesh({
    serves: ['credit-risk'],
    serviceEnv: { 'feature-service': { REDIS_URL: features.url } },
    beforeServices: ({ sqlite }) => seedFeatures(features.url, sqlite),
  });
  const { health } = mesh.of('feature-service')[0]!;
  const address = mesh.url.slice('http://'.length);
  const agent = keepAliveAgent();
  const ask = (client: string) =>
    infer({
      address,
      agent,
      model: 'credit-risk',
      body: { inputs: [{ name: 'client_id', datatype: 'BYTES', shape: [1, 1], data: [client] }] },
    });
  const clients = sampleClients();
  await Promise.all(clients.slice(CALLERS, 2 * CALLERS).map(ask)); // 64 connections are open now, and code is warm

  const redis = new Redis(features.url);
  const trips = (source: string) => metric(health, 'spillway_features_round_trips_total', { source });
  const gateway = mesh.of('gateway')[0]!;
  const before = { reads: await readsOf(redis), redis: await trips('redis'), sqlite: await trips('sqlite') };
  // A gateway that stands still while they are sent has all of them at once, however slowly the machine lets them come.
  await gateway.kill('SIGSTOP');
  const asked = Promise.all(clients.slice(0, CALLERS).map(ask));
  while (sentOn(agent) < CALLERS) await delay(1);
  await gateway.kill('SIGCONT');
  const replies = await asked;
  const after = { reads: await readsOf(redis), redis: await trips('redis'), sqlite: await trips('sqlite') };
  redis.disconnect();
  agent.destroy();

  for (const reply of replies) assert.equal(reply.status, 200, reply.text);
  const reads = after.reads - before.reads - 1; // the question itself
  assert.ok(reads >= 1 && reads <= MAX_ROUND_TRIPS, `${reads} reads at Redis`);
  assert.ok(after.redis - before.redis <= MAX_ROUND_TRIPS, `${after.redis - before.redis} round trips to Redis`);
  const statements = after.sqlite - before.sqlite;
  assert.ok(statements >= 1 && statements <= MAX_ROUND_TRIPS, `${statements} statements in SQLite`);
});
