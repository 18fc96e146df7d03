import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AllKeys, type TestTenant, writeKeysFile } from './api-keys.ts';
import { REPO } from './find-binary.ts';
import { freePort } from './free-port.ts';
import { startNatsServer, type TestServer } from './nats-server.ts';
import { type ServiceProcess, startProcess } from './process.ts';
import { startRedisServer } from './redis-server.ts';

export const SERVICES = ['cache', 'feature-service', 'batcher', 'gpu-worker', 'gateway'] as const;
export type Service = (typeof SERVICES)[number];

export type MeshOptions = {
  /** Instances of each service; 1 if not named, 0 to leave it out. */
  scale?: Partial<Record<Service, number>>;
  /** Tenants beside `test`, each with a key. */
  tenants?: readonly TestTenant[];
  /** Model repository. Default: the project's own. */
  models?: string;
  /** For every service: a service reads only the variables with its own prefix. */
  env?: Record<string, string>;
  /** For one service only; wins over `env`. */
  serviceEnv?: Partial<Record<Service, Record<string, string>>>;
  /** For one instance only, by its place among those of its service, from 0; wins over both. */
  instanceEnv?: (service: Service, index: number) => Record<string, string>;
  /** Runs when NATS and Redis are there and before the first service starts: the place to load data. */
  beforeServices?: (servers: { nats: TestServer; redis: TestServer; sqlite: string }) => Promise<void>;
  readyTimeoutMs?: number;
};

/** One process of a service. Addresses are host:port; a gateway has `http` and `grpc`, the others `grpc` only. */
export type MeshInstance = ServiceProcess & {
  readonly service: Service;
  readonly http: string;
  readonly grpc: string;
  readonly health: string;
};

export type Mesh = AsyncDisposable & {
  readonly nats: TestServer;
  readonly redis: TestServer;
  /** Every instance, in the order of `SERVICES`. */
  readonly instances: readonly MeshInstance[];
  of(service: Service): readonly MeshInstance[];
  /** URL of the first gateway's HTTP door, without a slash at the end. */
  readonly url: string;
  /** host:port of the first gateway's gRPC door. */
  readonly grpc: string;
  /** An API key of each class, all of tenant `test`, and one of each further tenant, by its name. */
  readonly keys: AllKeys;
  /** The feature-service's SQLite file; not there until a test makes it. */
  readonly sqlite: string;
};

const PREFIX: Record<Service, string> = {
  gateway: 'GATEWAY',
  cache: 'CACHE',
  'feature-service': 'FEATURE_SERVICE',
  batcher: 'BATCHER',
  'gpu-worker': 'GPU_WORKER',
};

/** Keeps the variables of one service and those that belong to all (OTEL_…, SPILLWAY_…). */
function variablesOf(service: Service, env: Record<string, string>): Record<string, string> {
  const foreign = SERVICES.filter((other) => other !== service).map((other) => `${PREFIX[other]}_`);
  return Object.fromEntries(Object.entries(env).filter(([name]) => !foreign.some((prefix) => name.startsWith(prefix))));
}

type Shared = { nats: TestServer; redis: TestServer; keysFile: string; sqlite: string; options: MeshOptions };

async function environmentOf(service: Service, instance: string, shared: Shared) {
  const prefix = PREFIX[service];
  const [http, grpc, health] = [await freePort(), await freePort(), await freePort()];
  const env: Record<string, string> = {
    NATS_URL: shared.nats.url,
    SPILLWAY_INSTANCE: instance,
    [`${prefix}_HOST`]: '127.0.0.1',
    [`${prefix}_GRPC_PORT`]: String(grpc),
    [service === 'gateway' ? 'GATEWAY_METRICS_PORT' : `${prefix}_HEALTH_PORT`]: String(health),
  };
  if (service === 'gateway') {
    env['GATEWAY_HTTP_PORT'] = String(http);
    env['GATEWAY_REHEARSAL_REQUESTS'] = '0'; // most tests start a mesh for a few requests
    env['GATEWAY_KEYS_FILE'] = shared.keysFile;
  }
  if (service === 'cache' || service === 'feature-service') env['REDIS_URL'] = shared.redis.url;
  if (service === 'gpu-worker') env['GPU_WORKER_MODELS'] = shared.options.models ?? join(REPO, 'models');
  if (service === 'feature-service') {
    env['FEATURE_SERVICE_VIEWS_DIR'] = join(REPO, 'services', 'feature-service', 'views');
    env['FEATURE_SERVICE_SQLITE_PATH'] = shared.sqlite;
  }
  const { env: forAll = {}, serviceEnv = {} } = shared.options;
  return { env: { ...env, ...variablesOf(service, forAll), ...serviceEnv[service] }, http, grpc, health };
}

async function startInstance(service: Service, index: number, shared: Shared): Promise<MeshInstance> {
  const name = `${service}-${index + 1}`;
  const { env: base, http, grpc, health } = await environmentOf(service, name, shared);
  const env = { ...base, ...shared.options.instanceEnv?.(service, index) };
  const started = await startProcess({
    name,
    file: join(REPO, 'services', service, 'src', 'main.ts'),
    env,
    readyUrl: `http://127.0.0.1:${health}/readyz`,
    readyTimeoutMs: shared.options.readyTimeoutMs ?? 60_000,
  });
  const own = {
    service,
    http: service === 'gateway' ? `127.0.0.1:${http}` : '',
    grpc: `127.0.0.1:${grpc}`,
    health: `127.0.0.1:${health}`,
  };
  return Object.defineProperties(own, Object.getOwnPropertyDescriptors(started)) as MeshInstance;
}

/**
 * NATS, Redis and all five services as processes on free ports of loopback, ready when this resolves. Services start
 * side by side, in no order: they must wait for each other by themselves.
 * @throws Error with the log's end of the service that did not become ready; everything else is stopped first.
 */
export async function startMesh(options: MeshOptions = {}): Promise<Mesh> {
  await using opening = new AsyncDisposableStack();
  const [nats, redis] = await Promise.all([startNatsServer(), startRedisServer()]);
  opening.use(nats);
  opening.use(redis);
  const dir = await mkdtemp(join(tmpdir(), 'spillway-mesh-'));
  opening.defer(() => rm(dir, { recursive: true, force: true }));
  const keysFile = join(dir, 'keys.json');
  const keys = await writeKeysFile(keysFile, options.tenants);
  const shared: Shared = { nats, redis, keysFile, sqlite: join(dir, 'features.sqlite'), options };
  await options.beforeServices?.({ nats, redis, sqlite: shared.sqlite });
  const wanted = SERVICES.flatMap((service) =>
    Array.from({ length: options.scale?.[service] ?? 1 }, (_, index) => startInstance(service, index, shared)),
  );
  const settled = await Promise.allSettled(wanted);
  const instances = settled.filter((s) => s.status === 'fulfilled').map((s) => s.value);
  opening.defer(async () => {
    await Promise.all(instances.map((instance) => instance.stop(3_000)));
  });
  const failed = settled.find((s) => s.status === 'rejected');
  if (failed) throw failed.reason;
  const open = opening.move();
  const of = (service: Service) => instances.filter((instance) => instance.service === service);
  return {
    nats,
    redis,
    instances,
    of,
    url: `http://${of('gateway')[0]?.http ?? ''}`,
    grpc: of('gateway')[0]?.grpc ?? '',
    keys,
    sqlite: shared.sqlite,
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}
