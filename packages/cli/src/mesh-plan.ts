import { join } from 'node:path';
import type { Context } from './context.ts';
import { keysFile } from './dev-key.ts';
import type { Servers } from './install.ts';
import type { WantedPort } from './port-check.ts';
import { type InstancePorts, type PortPlan, planPorts, type Scale, type ServiceName } from './ports.ts';
import type { Endpoints } from './state-file.ts';
import type { ChildSpec } from './supervised-child.ts';

export type MeshOptions = {
  portBase: number;
  scale: Scale;
  models: string;
  /** Absent: as the environment says. */
  modelControlMode?: 'none' | 'explicit';
};

export type MeshPlan = {
  children: ChildSpec[];
  ports: PortPlan;
  wanted: WantedPort[];
  endpoints: Endpoints;
  /** What `NATS_URL` and `REDIS_URL` name is used as it is; nothing is started in its place. */
  own: { nats: boolean; redis: boolean };
  /** Environment of the program that puts the sample entities into the feature sources. */
  seedEnv: NodeJS.ProcessEnv;
};

type PlanInput = Pick<Context, 'env' | 'root' | 'dataDir' | 'node'>;

/** Lowest first; a stage ends before the next one is drained. */
const DRAIN_STAGE: Record<ServiceName | 'nats' | 'redis', number> = {
  gateway: 0,
  batcher: 1,
  'gpu-worker': 2,
  cache: 3,
  'feature-service': 3,
  nats: 4,
  redis: 4,
};

/** Everything that `up` will run, with its ports and environment; starts nothing. */
export function planMesh(context: PlanInput, options: MeshOptions, servers: Servers): MeshPlan {
  const { env } = context;
  const ports = planPorts(options.portBase, options.scale);
  const own = { nats: !env['NATS_URL'], redis: !env['REDIS_URL'] };
  const gateway = ports.instances.find(({ service }) => service === 'gateway')?.ports ?? {};
  const urls = {
    nats: env['NATS_URL'] || `nats://127.0.0.1:${ports.nats}`,
    redis: env['REDIS_URL'] || `redis://127.0.0.1:${ports.redis}`,
  };
  const endpoints: Endpoints = {
    http: `http://127.0.0.1:${gateway.http}`,
    grpc: `127.0.0.1:${gateway.grpc}`,
    metrics: `http://127.0.0.1:${gateway.health}/metrics`,
    nats: withoutSecrets(urls.nats),
    redis: withoutSecrets(urls.redis),
    otlp: `http://127.0.0.1:${ports.otlp}`,
  };
  const common = commonEnvironment(context, urls, endpoints.otlp);
  const children = [
    ...(own.nats ? [natsSpec(context, servers, ports.nats)] : []),
    ...(own.redis ? [redisSpec(context, servers, ports.redis)] : []),
    ...ports.instances.map((instance) => serviceSpec(context, options, common, instance)),
  ];
  const wanted = [
    ...children.flatMap((child) =>
      Object.entries(child.ports).map(([name, port]) => ({
        port,
        what: child.name === name ? name : `${child.name}, ${name}`,
      })),
    ),
    { port: ports.otlp, what: 'receiver of traces' },
  ];
  const seedEnv = { ...common, ...serviceVariables(context, options, 'feature-service') };
  return { children, ports, wanted, endpoints, own, seedEnv };
}

/** The user's own environment, so that `BATCHER_…=… ./spillway up` tunes a service, under what the mesh must agree on. */
function commonEnvironment(
  { env }: PlanInput,
  urls: { nats: string; redis: string },
  receiver: string,
): NodeJS.ProcessEnv {
  return {
    LOG_LEVEL: 'info',
    ...env,
    NATS_URL: urls.nats,
    REDIS_URL: urls.redis,
    OTEL_EXPORTER_OTLP_ENDPOINT: env['OTEL_EXPORTER_OTLP_ENDPOINT'] || receiver,
  };
}

/** Endpoints are printed and written to `state.json`; several servers may stand in one variable, with commas between. */
export const withoutSecrets = (urls: string): string => urls.replaceAll(/\/\/[^/@,]*@/g, '//');

const prefixOf = (service: ServiceName): string => service.toUpperCase().replaceAll('-', '_');

/** What every instance of a service shares. */
function serviceVariables({ env, dataDir, root }: PlanInput, options: MeshOptions, service: ServiceName) {
  const variables: NodeJS.ProcessEnv = {
    [`${prefixOf(service)}_HOST`]: env[`${prefixOf(service)}_HOST`] || '127.0.0.1',
  };
  if (service === 'gateway') variables['GATEWAY_KEYS_FILE'] = env['GATEWAY_KEYS_FILE'] || keysFile(dataDir);
  if (service === 'gpu-worker') {
    variables['GPU_WORKER_MODELS'] = options.models;
    if (options.modelControlMode !== undefined) variables['GPU_WORKER_MODEL_CONTROL_MODE'] = options.modelControlMode;
  }
  if (service === 'feature-service') {
    variables['FEATURE_SERVICE_VIEWS_DIR'] =
      env['FEATURE_SERVICE_VIEWS_DIR'] || join(root, 'services', 'feature-service', 'views');
    variables['FEATURE_SERVICE_SQLITE_PATH'] = env['FEATURE_SERVICE_SQLITE_PATH'] || join(dataDir, 'features.sqlite');
  }
  return variables;
}

function serviceSpec(
  context: PlanInput,
  options: MeshOptions,
  common: NodeJS.ProcessEnv,
  { service, name, ports }: InstancePorts,
): ChildSpec {
  const prefix = prefixOf(service);
  const own: NodeJS.ProcessEnv = { SPILLWAY_INSTANCE: name };
  if (ports.http !== undefined) own[`${prefix}_HTTP_PORT`] = String(ports.http);
  if (ports.grpc !== undefined) own[`${prefix}_GRPC_PORT`] = String(ports.grpc);
  own[service === 'gateway' ? 'GATEWAY_METRICS_PORT' : `${prefix}_HEALTH_PORT`] = String(ports.health);
  return {
    name,
    service,
    command: context.node,
    // node:sqlite calls itself experimental at each start.
    args: ['--disable-warning=ExperimentalWarning', join(context.root, 'services', service, 'src', 'main.ts')],
    env: { ...common, ...serviceVariables(context, options, service), ...own },
    ports: { ...ports },
    ready: { kind: 'http', port: ports.health ?? 0 },
    logPath: logPath(context.dataDir, name),
    drainStage: DRAIN_STAGE[service],
  };
}

function natsSpec(context: PlanInput, servers: Servers, port: number): ChildSpec {
  const config = join(context.root, 'infra', 'nats.conf');
  return {
    name: 'nats',
    service: 'nats',
    command: servers.nats,
    args: ['-c', config, '-a', '127.0.0.1', '-p', String(port), '-sd', join(context.dataDir, 'nats')],
    env: context.env,
    ports: { nats: port },
    ready: { kind: 'nats', port },
    logPath: logPath(context.dataDir, 'nats'),
    drainStage: DRAIN_STAGE.nats,
  };
}

function redisSpec(context: PlanInput, servers: Servers, port: number): ChildSpec {
  return {
    name: 'redis',
    service: 'redis',
    command: servers.redis,
    args: [
      join(context.root, 'infra', 'redis.conf'),
      ...['--bind', '127.0.0.1', '--port', String(port), '--dir', join(context.dataDir, 'redis')],
    ],
    env: context.env,
    ports: { redis: port },
    ready: { kind: 'redis', port },
    logPath: logPath(context.dataDir, 'redis'),
    drainStage: DRAIN_STAGE.redis,
  };
}

export const logPath = (dataDir: string, instance: string): string => join(dataDir, 'logs', `${instance}.log`);
