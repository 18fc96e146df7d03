import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort } from '../src/free-port.ts';
import { startProcess } from '../src/process.ts';

const SERVER = `import { createServer } from 'node:http';
console.log(JSON.stringify({ msg: 'starting', secret: process.env.LEAK ?? 'none' }));
createServer((_, response) => response.end('ok')).listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGTERM', () => { console.log('drained'); process.exit(0); });
`;
let dir = '';
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'spillway-process-'));
  await writeFile(join(dir, 'server.ts'), SERVER);
  await writeFile(join(dir, 'broken.ts'), "console.error('BATCHER_X: expected a number'); process.exit(78);");
});
after(() => rm(dir, { recursive: true, force: true }));

const serverOptions = async () => {
  const port = await freePort();
  return {
    name: 'server',
    file: join(dir, 'server.ts'),
    env: { PORT: String(port) },
    readyUrl: `http://127.0.0.1:${port}/`,
  };
};

test('a process is ready when its health URL answers, and its JSON lines are records', async () => {
  process.env['LEAK'] = 'leaked';
  await using server = await startProcess(await serverOptions());
  const record = await server.record((r) => r['msg'] === 'starting');
  assert.equal(record['secret'], 'none', 'the environment of the test does not leak in');
});

test('a killed process restarts with the same environment under another pid', async () => {
  await using server = await startProcess(await serverOptions());
  const { pid } = server;
  await server.kill('SIGKILL');
  assert.equal(server.running, false);
  assert.equal(server.end, 'SIGKILL');
  await server.restart();
  assert.notEqual(server.pid, pid);
  await server.stop(30_000);
  assert.equal(server.end, 0);
  assert.ok(server.lines().includes('drained'));
});

test('a stopped process is resumed to be ended', async () => {
  const server = await startProcess(await serverOptions());
  await server.kill('SIGSTOP');
  await server.stop(30_000);
  assert.equal(server.end, 0);
  assert.equal(existsSync(`/proc/${server.pid}`), false);
});

test('a process that ends before it is ready fails the start with its last words', async () => {
  const options = { ...(await serverOptions()), name: 'broken', file: join(dir, 'broken.ts') };
  await assert.rejects(startProcess(options), /broken ended \(78\)[\s\S]*expected a number/);
});
