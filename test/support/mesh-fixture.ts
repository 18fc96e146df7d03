import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { REPO } from '@spillway/testing/find-binary';
import { type Mesh, type MeshOptions, startMesh } from '@spillway/testing/mesh';
import { call } from './infer.ts';
import { linkModels } from './model-repository.ts';

const SEED = join(REPO, 'services', 'feature-service', 'src', 'seed.ts');
const CLIENTS = join(REPO, 'models', 'credit-risk', 'sample', 'clients.csv');

/** Loads the figures of the sample's 200 clients into Redis and SQLite. */
export async function seedFeatures(redisUrl: string, sqlite: string): Promise<void> {
  const { NODE_COMPILE_CACHE: cache } = process.env;
  await promisify(execFile)(process.execPath, [SEED, CLIENTS], {
    env: {
      PATH: process.env['PATH'] ?? '',
      ...(cache && { NODE_COMPILE_CACHE: cache }),
      REDIS_URL: redisUrl,
      FEATURE_SERVICE_SQLITE_PATH: sqlite,
    },
  });
}

/** Waits until the gateway knows a model and can reach it. */
export async function untilServed(address: string, model: string, timeoutMs = 15_000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const { status } = await call({ address, method: 'GET', path: `/v2/models/${model}/ready`, timeoutMs: 1_000 });
    if (status === 200) return;
    if (performance.now() > endMs) throw new Error(`${model} was not ready within ${timeoutMs} ms (status ${status})`);
    await delay(25);
  }
}

/**
 * All its processes and the test share a few cores, and processes that start crowd the gateways: what those would refuse then
 * has nothing to do with what is tested.
 */
const CROWDED = { gateway: { GATEWAY_ADMISSION_OFF: 'guard' } };

/**
 * The mesh with the named models and no others, served by every gateway; with features loaded if one of them needs them. Loading
 * and warming all models would be a quarter of what a start costs.
 */
export async function startSeededMesh(options: MeshOptions & { serves: string[] }): Promise<Mesh> {
  const { serves, serviceEnv, ...rest } = options;
  await using opening = new AsyncDisposableStack();
  const models = rest.models ?? opening.use(await linkModels(serves)).dir;
  const mesh = opening.use(
    await startMesh({
      ...(serves.includes('credit-risk') && { beforeServices: ({ redis, sqlite }) => seedFeatures(redis.url, sqlite) }),
      serviceEnv: { ...CROWDED, ...serviceEnv },
      ...rest,
      models,
    }),
  );
  for (const { http } of mesh.of('gateway')) {
    for (const model of serves) await untilServed(http, model);
  }
  const open = opening.move();
  return { ...mesh, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

/** Value of a Prometheus counter or gauge summed over the series whose labels match; 0 if there is none. */
export async function metric(health: string, name: string, labels: Record<string, string> = {}): Promise<number> {
  const { text } = await call({ address: health, method: 'GET', path: '/metrics' });
  let sum = 0;
  for (const line of text.split('\n')) {
    const match = /^([a-z_]+)(?:\{(.*)\})? ([^ ]+)$/.exec(line);
    if (match?.[1] !== name) continue;
    if (Object.entries(labels).every(([key, value]) => match[2]?.includes(`${key}="${value}"`)))
      sum += Number(match[3]);
  }
  return sum;
}
