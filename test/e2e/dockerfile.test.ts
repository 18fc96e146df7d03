import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '@spillway/testing/free-port';
import { startNatsServer } from '@spillway/testing/nats-server';
import { startProcess } from '@spillway/testing/process';
import { buildIn, readDockerfile } from '../support/dockerfile.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const SERVICES = ['batcher', 'cache', 'feature-service', 'gateway', 'gpu-worker'];

let nats: Awaited<ReturnType<typeof startNatsServer>>;
before(async () => {
  nats = await startNatsServer();
});
after(() => nats?.[Symbol.asyncDispose]());

/** Ports and addresses of one machine in place of a container's. */
async function hostEnvironment(service: string, folder: string): Promise<{ env: Record<string, string>; url: string }> {
  const prefix = service.toUpperCase().replaceAll('-', '_');
  const [health, grpc, http] = [await freePort(), await freePort(), await freePort()];
  const env: Record<string, string> = {
    NATS_URL: nats.url,
    [`${prefix}_HOST`]: '127.0.0.1',
    [`${prefix}_GRPC_PORT`]: String(grpc),
    [service === 'gateway' ? 'GATEWAY_METRICS_PORT' : `${prefix}_HEALTH_PORT`]: String(health),
  };
  if (service === 'gateway') Object.assign(env, { GATEWAY_HTTP_PORT: String(http), GATEWAY_KEYS_FILE: '' });
  if (service === 'feature-service') env['FEATURE_SERVICE_SQLITE_PATH'] = join(folder, 'features.sqlite');
  return { env, url: `http://127.0.0.1:${health}/readyz` };
}

for (const service of SERVICES) {
  test(`the steps of the ${service}'s Dockerfile, run in an empty folder, give a service that becomes ready there`, async () => {
    const folder = await mkdtemp(join(tmpdir(), `spillway-image-${service}-`));
    try {
      const dockerfile = readDockerfile(await readFile(join(repository, 'services', service, 'Dockerfile'), 'utf8'));
      await buildIn(folder, repository, dockerfile);
      const { env, url } = await hostEnvironment(service, folder);
      const [, main] = dockerfile.command as [string, string];
      await using started = await startProcess({
        name: service,
        file: join(folder, main),
        env: { ...dockerfile.env, ...env },
        readyUrl: url,
        readyTimeoutMs: 60_000,
        cwd: folder,
      });
      assert.equal(started.running, true);
      await started.stop(60_000);
      assert.equal(started.end, 0, started.tail());
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}
