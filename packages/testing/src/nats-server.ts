import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from './child.ts';
import { findBinary, REPO } from './find-binary.ts';
import { freePort } from './free-port.ts';
import { answersWith } from './tcp-ready.ts';
import { type TestServer, testServer } from './test-server.ts';

export type { TestServer } from './test-server.ts';

export type NatsServerOptions = {
  /** Store of JetStream. Default: a temporary folder that is removed at the end. */
  dir?: string;
  port?: number;
  args?: string[];
};

/** The configuration that `./spillway up` uses; arguments win over it. */
const CONFIGURATION = join(REPO, 'infra', 'nats.conf');

/** A real nats-server with JetStream on a free port of loopback. */
export async function startNatsServer(options: NatsServerOptions = {}): Promise<TestServer> {
  const file = findBinary('nats-server', 'NATS_SERVER');
  const port = options.port ?? (await freePort());
  const temporary = await mkdtemp(join(tmpdir(), 'spillway-nats-'));
  const store = options.dir ?? join(temporary, 'store');
  const args = ['-c', CONFIGURATION, '-a', '127.0.0.1', '-p', String(port), '-sd', store];
  const start = async (): Promise<Child> => {
    const child = new Child({ name: 'nats-server', file, args: [...args, ...(options.args ?? [])] });
    await child.until(() => answersWith(port, '', 'INFO {'), 30_000);
    return child;
  };
  const dispose = (): Promise<void> => rm(temporary, { recursive: true, force: true });
  return testServer({ url: `nats://127.0.0.1:${port}`, port, dispose }, start);
}
