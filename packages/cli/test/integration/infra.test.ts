import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startNatsServer } from '@spillway/testing/nats-server';
import { startRedisServer } from '@spillway/testing/redis-server';
import { repositoryRoot } from '../../src/context.ts';

/** Sends one command as text and returns the first line of the answer. */
function ask(port: number, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write(`${command}\r\n`));
    let heard = '';
    socket.on('data', (chunk) => {
      heard += chunk.toString('utf8');
      if (!heard.includes('\r\n')) return;
      socket.destroy();
      resolve(command.startsWith('INFO') ? heard : (heard.split('\r\n')[0] ?? ''));
    });
    socket.on('error', reject);
  });
}

test('Redis refuses what nothing in the mesh needs, and takes what it does', async () => {
  await using redis = await startRedisServer();
  const refused = [
    'EVAL "return 1" 0',
    'SCRIPT FLUSH',
    'FUNCTION LIST',
    'CONFIG GET maxmemory',
    'DEBUG SLEEP 0',
    'FLUSHALL',
  ];
  const more = ['KEYS *', 'MODULE LIST', 'SHUTDOWN', 'REPLICAOF 127.0.0.1 1', 'ACL LIST', 'MONITOR'];
  for (const command of [...refused, ...more]) {
    assert.match(await ask(redis.port, command), /^-(NOPERM |ERR .* command not allowed)/, command);
  }
  const taken = [
    'SET a 1 NX PX 1000',
    'GET a',
    'HSET h d x',
    'HMGET h d v ts',
    'PEXPIRE h 1000',
    'DEL a',
    'CLIENT SETNAME test',
  ];
  for (const command of taken) assert.doesNotMatch(await ask(redis.port, command), /^-/, command);
});

test('Redis is bounded, forgets what was used longest ago, and keeps nothing on disk', async () => {
  await using redis = await startRedisServer();
  const memory = await ask(redis.port, 'INFO memory');
  assert.match(memory, /^maxmemory:268435456\r$/m);
  assert.match(memory, /^maxmemory_policy:allkeys-lru\r$/m);
  const persistence = await ask(redis.port, 'INFO persistence');
  assert.match(persistence, /^aof_enabled:0\r$/m);
});

test('NATS takes requests of 8 MiB, keeps its store where it is told, and opens no other port', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'spillway-infra-'));
  try {
    await using nats = await startNatsServer({ dir });
    const info = JSON.parse((await ask(nats.port, 'PING')).slice('INFO '.length)) as Record<string, unknown>;
    assert.deepEqual([info['max_payload'], info['jetstream'], info['host']], [8 * 1024 * 1024, true, '127.0.0.1']);
    assert.ok(nats.log().includes(`Store Directory: "${dir}/jetstream"`), nats.log());
    assert.deepEqual(listeningPorts(nats.pid), [nats.port]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test('the files themselves bind to loopback, for whoever starts the servers by hand', () => {
  const read = (name: string) => readFileSync(join(repositoryRoot, 'infra', name), 'utf8');
  assert.match(read('nats.conf'), /^host: "127\.0\.0\.1"$/m);
  assert.match(read('redis.conf'), /^bind 127\.0\.0\.1$/m);
});

/** TCP ports on which a process listens, from /proc. */
function listeningPorts(pid: number): number[] {
  const lines = ['tcp', 'tcp6'].flatMap((file) =>
    readFileSync(`/proc/${pid}/net/${file}`, 'utf8').split('\n').slice(1),
  );
  const inodes = new Map(
    lines
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === '0A')
      .map((fields) => [fields[9] ?? '', Number.parseInt(fields[1]?.split(':')[1] ?? '', 16)]),
  );
  return [...inodes].filter(([inode]) => ownsSocket(pid, inode)).map(([, port]) => port);
}

function ownsSocket(pid: number, inode: string): boolean {
  return readdirSync(`/proc/${pid}/fd`).some((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`;
    } catch {
      return false; // closed in between
    }
  });
}
