import { Server, type ServerCredentials, type ServerOptions } from '@grpc/grpc-js';
import { MAX_MESH_MESSAGE_BYTES } from './channel.ts';
import { Health } from './health.ts';
import { type GrpcService, serviceOf } from './method.ts';
import { credentialsOf, type ServerTls } from './server-tls.ts';
import { writeAhead } from './write-ahead.ts';

export type GrpcServerOptions = {
  host: string;
  /** 0 takes a free one. */
  port: number;
  services: readonly GrpcService[];
  /** Largest message taken; a larger one ends its call with RESOURCE_EXHAUSTED. */
  maxReceiveBytes: number;
  /** For strangers: bounds on what one connection may hold, and connections that end so that balancers can move them. */
  publicDoor?: boolean;
  /** Absent: plain HTTP/2. */
  tls?: ServerTls | undefined;
};

export type GrpcServer = {
  port: number;
  /** What the health service says, of the server and all its services. NOT_SERVING until told otherwise. */
  setServing(serving: boolean): void;
  /**
   * NOT_SERVING, then no new connections or calls, then waits for open calls. Long-lived streams are the owner's to close first.
   * @returns Whether all calls ended in time; those that did not are reset.
   */
  drain(timeoutMs: number): Promise<boolean>;
  [Symbol.asyncDispose](): Promise<void>;
};

const SERVER_OPTIONS: ServerOptions = {
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 3_000,
  'grpc.max_send_message_length': MAX_MESH_MESSAGE_BYTES,
  'grpc.enable_channelz': 0,
};

const DOOR_OPTIONS: ServerOptions = {
  'grpc.max_concurrent_streams': 100,
  'grpc.max_connection_age_ms': 600_000,
  'grpc.max_connection_age_grace_ms': 30_000,
  'grpc-node.max_session_memory': 10, // megabytes; unlimited by default
};

/** @throws Error of the bind when the address cannot be listened on. */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const server = new Server({
    ...SERVER_OPTIONS,
    ...(options.publicDoor === true ? DOOR_OPTIONS : {}),
    'grpc.max_receive_message_length': options.maxReceiveBytes,
    interceptors: [writeAhead],
  });
  const health = new Health(namesOf(options.services));
  for (const { definition, handlers } of [...options.services, health.service()])
    server.addService(definition, handlers);
  const port = await bind(server, options, credentialsOf(options.tls));
  const address = addressOf(options.host, port);
  return {
    port,
    setServing: (serving) => health.set(serving ? 'SERVING' : 'NOT_SERVING'),
    drain: (timeoutMs) => {
      health.set('NOT_SERVING');
      health.close();
      return shutDown(server, address, timeoutMs);
    },
    [Symbol.asyncDispose]: async () => {
      health.close();
      await shutDown(server, address, 0);
    },
  };
}

const namesOf = (services: readonly GrpcService[]): string[] => [
  ...new Set(services.flatMap(({ definition }) => Object.values(definition).map(({ path }) => serviceOf(path)))),
];

const addressOf = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

function bind(
  server: Server,
  { host, port }: { host: string; port: number },
  credentials: ServerCredentials,
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(addressOf(host, port), credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
}

/**
 * Without channelz, `forceShutdown` of grpc-js 1.14 closes no connection: it looks in a map that only channelz fills. `drain` of the
 * address resets what is left after its time, unless `tryShutdown` came first; `tryShutdown` calls back when the last has closed.
 */
function shutDown(server: Server, address: string, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    server.drain(address, timeoutMs);
    const late = setTimeout(() => resolve(false), timeoutMs);
    server.tryShutdown(() => {
      clearTimeout(late);
      resolve(true);
    });
  });
}
