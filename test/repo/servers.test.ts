import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectBus } from '@spillway/bus/connect';
import { STREAMS } from '@spillway/contracts/streams';
import { startNatsServer } from '@spillway/testing/nats-server';
import { connect } from 'nats';
import { readSource, sources, WORKSPACES } from './workspaces.ts';

test('every stream and bucket that the mesh makes refuses when full, and has a bound', async () => {
  await using nats = await startNatsServer();
  await using _bus = await connectBus({ url: nats.url, service: 'batcher', instance: 'batcher-test' });
  const nc = await connect({ servers: nats.url });
  const manager = await nc.jetstreamManager();
  const found = await manager.streams.list().next();
  await nc.close();
  const names = found.map(({ config }) => config.name);
  for (const { name } of STREAMS) assert.ok(names.includes(name), name);
  for (const { config } of found) {
    assert.equal(config.discard, 'new', config.name);
    if (!config.name.startsWith('KV_')) assert.ok(config.max_bytes > 0, `${config.name} has no bound in bytes`);
  }
});

test('nothing in the source asks for a stream that forgets what it accepted', () => {
  const asking = WORKSPACES.filter(({ kind }) => kind !== 'test')
    .flatMap(({ dir }) => sources(`${dir}/src`))
    .filter((file) => /DiscardPolicy\.Old|discard:\s*['"]old['"]/.test(readSource(file)));
  assert.deepEqual(asking, []);
});

const withoutComments = (text: string): string => text.replace(/^\s*#.*$/gm, '').replace(/\s#.*$/gm, '');

test('NATS as `up` starts it listens on loopback alone and opens no further door', () => {
  const conf = withoutComments(readSource('infra/nats.conf'));
  assert.match(conf, /host:\s*"127\.0\.0\.1"/);
  assert.match(conf, /max_payload:\s*8MB/);
  assert.doesNotMatch(conf, /\b(websocket|mqtt|leafnodes|cluster|gateway|no_auth_user|http_port|http)\b/);
  assert.match(conf, /max_memory_store:/);
  assert.match(conf, /max_file_store:/);
});

test('Redis as `up` starts it listens on loopback alone, is bounded, and runs no scripts or dangerous commands', () => {
  const conf = withoutComments(readSource('infra/redis.conf'));
  assert.match(conf, /^bind 127\.0\.0\.1$/m);
  assert.match(conf, /^maxmemory \d+mb$/m);
  assert.match(conf, /^user default .*-@scripting.*-@dangerous.*-@admin/m);
});
