import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { test } from 'node:test';
import { startRedisServer } from '@spillway/testing/redis-server';
import { closeRedis, openRedis } from '../src/client.ts';

test('commands fail at once while Redis is away, and it comes back by itself; each change is told once', {
  timeout: 120_000,
}, async () => {
  await using server = await startRedisServer();
  const told: string[] = [];
  const changes = new EventEmitter();
  const client = openRedis({
    url: server.url,
    commandTimeoutMs: 30_000,
    connectionName: 'test',
    onFact: ({ what }) => {
      told.push(what);
      changes.emit(what);
    },
  });
  await once(changes, 'redis up');
  assert.equal(await client.set('a', '1'), 'OK');
  const down = once(changes, 'redis down');
  await server.kill();
  await down;
  await assert.rejects(client.get('a'), /enableOfflineQueue/);
  const up = once(changes, 'redis up');
  await server.restart();
  await up;
  assert.equal(await client.get('a'), null);
  closeRedis(client);
  assert.deepEqual(told, ['redis up', 'redis down', 'redis up']);
});
