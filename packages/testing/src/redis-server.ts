import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from './child.ts';
import { findBinary, REPO } from './find-binary.ts';
import { freePort } from './free-port.ts';
import { answersWith } from './tcp-ready.ts';
import { type TestServer, testServer } from './test-server.ts';

/** The configuration that `./spillway up` uses; arguments win over it. */
const CONFIGURATION = join(REPO, 'infra', 'redis.conf');

export type RedisServerOptions = { port?: number; args?: string[] };

/** A real redis-server on a free port of loopback. It keeps nothing on disk: a restart begins empty. */
export async function startRedisServer(options: RedisServerOptions = {}): Promise<TestServer> {
  const file = findBinary('redis-server', 'REDIS_SERVER');
  const port = options.port ?? (await freePort());
  const dir = await mkdtemp(join(tmpdir(), 'spillway-redis-'));
  const args = [CONFIGURATION, '--port', String(port), '--bind', '127.0.0.1', '--dir', dir];
  const start = async (): Promise<Child> => {
    const child = new Child({ name: 'redis-server', file, args: [...args, ...(options.args ?? [])] });
    await child.until(() => answersWith(port, 'PING\r\n', '+PONG'), 30_000);
    return child;
  };
  const dispose = (): Promise<void> => rm(dir, { recursive: true, force: true });
  return testServer({ url: `redis://127.0.0.1:${port}`, port, dispose }, start);
}
