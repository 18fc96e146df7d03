import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
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
export async function untilServed(address: string, model: string, timeoutMs = 60_000): Promise<void> {
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
const CROWDED = { GATEWAY_ADMISSION_OFF: 'guard' };
/** For tests in which everything is to be answered whatever else runs on the machine, and which are not about overload. */
export const ALL_ADMITTED = { GATEWAY_ADMISSION_OFF: 'guard,fair_rate,predicted_finish,queue_bound' };

const VIEWS = join(REPO, 'services', 'feature-service', 'views');

/** The project's views, with sources that may take as long as a crowded machine needs: defaults would be other numbers. */
async function patientViews(): Promise<AsyncDisposable & { dir: string }> {
  const dir = await mkdtemp(join(tmpdir(), 'spillway-views-'));
  for (const file of await readdir(VIEWS)) {
    const yaml = await readFile(join(VIEWS, file), 'utf8');
    await writeFile(join(dir, file), yaml.replace(/^timeout_ms: \d+$/m, 'timeout_ms: 20000'));
  }
  return { dir, [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) };
}

export type SeededMeshOptions = MeshOptions & {
  /** Models, and no others: loading and warming all of them would be a quarter of what a start costs. */
  serves: string[];
  /** A source of features is to fail: who waits for it gets defaults as soon as in production. */
  sourcesFail?: boolean;
};

/** The mesh with the named models, served by every gateway; with features loaded if one of them needs them. */
export async function startSeededMesh(options: SeededMeshOptions): Promise<Mesh> {
  const { serves, serviceEnv = {}, sourcesFail = false, ...rest } = options;
  await using opening = new AsyncDisposableStack();
  const models = rest.models ?? opening.use(await linkModels(serves)).dir;
  const hasFeatures = serves.includes('credit-risk');
  const views = hasFeatures && !sourcesFail ? opening.use(await patientViews()).dir : VIEWS;
  const mesh = opening.use(
    await startMesh({
      ...(hasFeatures && { beforeServices: ({ redis, sqlite }) => seedFeatures(redis.url, sqlite) }),
      serviceEnv: {
        ...serviceEnv,
        gateway: { ...CROWDED, ...serviceEnv.gateway },
        'feature-service': { FEATURE_SERVICE_VIEWS_DIR: views, ...serviceEnv['feature-service'] },
      },
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
