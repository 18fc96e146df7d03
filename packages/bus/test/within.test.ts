import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort } from '@spillway/testing/free-port';
import { startNatsServer } from '@spillway/testing/nats-server';
import { connectBus } from '../src/connect.ts';

const cli = { service: 'cli', instance: 'cli-test', withinMs: 300 } as const;
const away = { name: 'SpillwayError', code: 'UNAVAILABLE', reason: 'bus' };

test('with a limit, a server that is not there is UNAVAILABLE at once', async () => {
  const url = `nats://127.0.0.1:${await freePort()}`;
  await assert.rejects(connectBus({ ...cli, url }), away);
});

test('with a limit, a server that keeps no streams is UNAVAILABLE when it is over', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-nats-'));
  writeFileSync(join(folder, 'core.conf'), 'server_name: core\n');
  await using server = await startNatsServer({ args: ['-c', join(folder, 'core.conf')] });
  await assert.rejects(connectBus({ ...cli, url: server.url }), away);
  rmSync(folder, { recursive: true });
});
