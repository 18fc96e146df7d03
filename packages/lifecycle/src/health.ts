import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { StateMachine } from './states.ts';

/** `metrics` yields the whole page of the registry; `waitingFor` names what a service that is not ready lacks. */
export type HealthOptions = {
  host: string;
  port: number;
  metrics: () => Promise<{ contentType: string; body: string }>;
  state: StateMachine;
  waitingFor?: () => string[];
};

export type HealthServer = { port: number; [Symbol.asyncDispose](): Promise<void> };

/** Probes and scrapers are small and near: a slow header is an attack or a dead peer. */
const LIMITS = {
  headersTimeout: 3_000,
  requestTimeout: 5_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 8 * 1024,
} as const;
const MAX_CONNECTIONS = 64;

type Reply = { status: number; contentType?: string; body: string; allow?: string };

/**
 * The side door of a service: GET `/livez` (503 once `failed`: restart me), `/readyz` (200 only while `ready`), `/metrics`.
 * Both probes answer JSON `{state, waiting_for}`. Port 0 takes a free one.
 * @throws The listen error (`EADDRINUSE`, `EACCES`) as Node gives it.
 */
export async function serveHealth(options: HealthOptions): Promise<HealthServer> {
  const server = createServer(LIMITS, (request, response) => {
    answer(options, request).then(
      (reply) => send(response, reply),
      () => send(response, { status: 500, contentType: 'text/plain; charset=utf-8', body: 'internal error\n' }),
    );
  });
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(options: HealthOptions, request: IncomingMessage): Promise<Reply> {
  const path = request.url?.split('?', 1)[0];
  if (path !== '/livez' && path !== '/readyz' && path !== '/metrics') {
    return json(404, { error: 'expected /livez, /readyz or /metrics' });
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { ...json(405, { error: 'expected GET' }), allow: 'GET, HEAD' };
  }
  if (path === '/metrics') return { status: 200, ...(await options.metrics()) };
  const state = options.state.get();
  const good = path === '/livez' ? state !== 'failed' : state === 'ready';
  return json(good ? 200 : 503, { state, waiting_for: options.waitingFor?.() ?? [] });
}

const json = (status: number, value: unknown): Reply => ({
  status,
  contentType: 'application/json',
  body: `${JSON.stringify(value)}\n`,
});

function send(response: ServerResponse, reply: Reply): void {
  response.statusCode = reply.status;
  response.setHeader('content-type', reply.contentType ?? 'text/plain; charset=utf-8');
  response.setHeader('cache-control', 'no-store');
  if (reply.allow !== undefined) response.setHeader('allow', reply.allow);
  response.end(reply.body);
}
