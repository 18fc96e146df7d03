import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { findBinary } from '../src/find-binary.ts';
import { freePort } from '../src/free-port.ts';
import { startNatsServer } from '../src/nats-server.ts';
import { startRedisServer } from '../src/redis-server.ts';
import { answersWith } from '../src/tcp-ready.ts';

const isRunning = (pid: number): boolean => existsSync(`/proc/${pid}`);

test('a free port is below the range of outgoing connections and never given twice', async () => {
  const ports = await Promise.all(Array.from({ length: 20 }, () => freePort()));
  assert.equal(new Set(ports).size, 20);
  for (const port of ports) assert.ok(port >= 20_000 && port < 32_768, String(port));
});

test('another process is given other ports, although nobody listens at these yet', async () => {
  const own = await Promise.all(Array.from({ length: 3 }, () => freePort()));
  const file = new URL('../src/free-port.ts', import.meta.url).href;
  const script = `const { freePort } = await import('${file}');
    for (let n = 0; n < 60; n += 1) console.log(await freePort());`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  const theirs = stdout.trim().split('\n').map(Number);
  const blockOf = (port: number): number => Math.floor(port / 50);
  assert.equal(new Set(theirs).size, 60);
  assert.deepEqual(
    theirs.filter((port) => blockOf(port) === blockOf(own[0] as number)),
    [],
  );
});

test('a missing program is an error that names the command which installs it', () => {
  assert.throws(() => findBinary('no-such-server', 'NO_SUCH_VARIABLE'), /\.\/spillway test/);
});

test('nats-server comes back at the same port with the same store, and is gone at the end', async () => {
  let pid = 0;
  {
    await using nats = await startNatsServer();
    pid = nats.pid;
    assert.equal(await answersWith(nats.port, '', '"max_payload":8388608'), true);
    assert.equal(await answersWith(nats.port, '', '"jetstream":true'), true);
    await nats.kill();
    assert.equal(isRunning(pid), false);
    assert.equal(await answersWith(nats.port, '', 'INFO'), false);
    await nats.restart();
    assert.notEqual(nats.pid, pid);
    assert.equal(await answersWith(nats.port, '', 'INFO'), true);
    pid = nats.pid;
  }
  assert.equal(isRunning(pid), false);
});

test('redis-server hangs while stopped and answers again when resumed', async () => {
  await using redis = await startRedisServer();
  assert.equal(await answersWith(redis.port, 'PING\r\n', '+PONG'), true);
  await redis.kill('SIGSTOP');
  const socket = connectTcp({ port: redis.port, host: '127.0.0.1' });
  const answer = new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString())));
  socket.write('PING\r\n');
  assert.equal(await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 100, 'nothing'))]), 'nothing');
  await redis.kill('SIGCONT');
  assert.equal(await answer, '+PONG\r\n');
  socket.destroy();
});
