import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { HEADERS } from '@spillway/contracts/headers';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { toOip } from '@spillway/errors/to-oip';
import { toPlain } from '@spillway/errors/to-plain';
import type { ServerTls } from '@spillway/rpc/server-tls';
import Fastify, { type FastifyInstance } from 'fastify';
import type { Effects } from '../core/admission/types.ts';
import { readRequestId } from '../core/request-metadata.ts';
import type { DoorContext } from './door-context.ts';
import { answerClientError } from './http-client-error.ts';
import { controlRoutes } from './http-control.ts';
import { OIP, PLAIN } from './http-dialect.ts';
import { serveDocs } from './http-docs.ts';
import { generateRoutes } from './http-generate.ts';
import { identifyCaller } from './http-identify.ts';
import { InferRoute } from './http-infer.ts';
import { serveJobBatches } from './http-job-batch.ts';
import { serveJobs } from './http-jobs.ts';
import { matchInfer, matchPredict } from './infer-paths.ts';
import { type ModelParams, namesOf } from './model-params.ts';
import { modelMetadata, repositoryIndex, serverMetadata } from './oip-metadata.ts';
import { QuietTraffic } from './quiet-traffic.ts';
import { refuseMethod, refusePath, servedPaths } from './served-paths.ts';

export type HttpDoorOptions = {
  host: string;
  port: number;
  maxRequestsPerSocket: number;
  effects: Pick<Effects, 'connectionsLimited'>;
  /** Absent: plain HTTP. */
  tls?: ServerTls | undefined;
};
export type HttpDoor = {
  port: number;
  /** Serves on until callers have gone elsewhere, for half of the time at most; then finishes what is in flight and hangs up. */
  drain(timeoutMs: number): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Slow headers and endless bodies are closed in time; see the security checklist of the design (S6). */
const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 2_000,
  maxHeaderSize: 16 * 1024,
  insecureHTTPParser: false,
} as const;
const MAX_HEADERS = 100;
/** Connections that wait to be accepted; the kernel may allow fewer. One that finds no room tries again after a second. */
const BACKLOG = 4_096;

function listener(tls: ServerTls | undefined, onRequest: RequestListener): Server {
  if (tls === undefined) return createServer(LIMITS, onRequest);
  const required = tls.requireClientCertificate;
  const certificates = { requestCert: required, rejectUnauthorized: required };
  const server = createTlsServer({ ...LIMITS, ...tls.context(), ...certificates }, onRequest);
  tls.onChange((context) => server.setSecureContext(context));
  return server;
}

/**
 * The HTTP door. The infer route is answered on plain node:http: routed through fastify it cost measurably more (see
 * docs/benchmarks.md); every other route is fastify's.
 */
export async function openHttpDoor(context: DoorContext, options: HttpDoorOptions): Promise<HttpDoor> {
  const { effects, maxRequestsPerSocket } = options;
  const infer = new InferRoute(context, OIP);
  const predict = new InferRoute(context, PLAIN);
  const generate = generateRoutes(context);
  const traffic = new QuietTraffic(context.clock);
  let server: Server | undefined;
  const app = Fastify({
    bodyLimit: context.maxBodyBytes,
    logger: false,
    genReqId: ({ headers }) => readRequestId(headers[HEADERS.requestId] as string | undefined) ?? context.ids.next(),
    clientErrorHandler: answerClientError,
    // A path that cannot be decoded is none that is served.
    frameworkErrors: (_fault, request, reply) => void refusePath(request, reply, []),
    serverFactory: (handler) => {
      server = listener(options.tls, (req, res) => {
        // Deep in brown-out nobody is sent to open a new connection: that costs as much as several refusals.
        if (server !== undefined) server.maxRequestsPerSocket = effects.connectionsLimited ? 0 : maxRequestsPerSocket;
        traffic.began(req, res);
        const url = req.url ?? '';
        const route = matchInfer(url);
        const plain = route === undefined && url.startsWith('/v1/models/') ? matchPredict(url) : undefined;
        if (route === undefined && plain === undefined) {
          if (!generate(req, res, url)) handler(req, res);
        } else if (req.method !== 'POST') refuseMethod(req, res, plain === undefined ? toOip : toPlain);
        else if (route !== undefined) infer.handle(req, res, route);
        else if (plain !== undefined) predict.handle(req, res, plain);
      });
      server.maxHeadersCount = MAX_HEADERS;
      server.maxRequestsPerSocket = maxRequestsPerSocket;
      return server;
    },
  });
  routes(app, context);
  await app.listen({ host: options.host, port: options.port, backlog: BACKLOG });
  const listening = server as unknown as Server;
  const close = async () => {
    await app.close();
  };
  return {
    port: (listening.address() as AddressInfo).port,
    drain: async (timeoutMs) => {
      const forced = setTimeout(() => listening.closeAllConnections(), timeoutMs);
      await traffic.ends(timeoutMs / 2);
      await close();
      clearTimeout(forced);
    },
    [Symbol.asyncDispose]: async () => {
      listening.closeAllConnections();
      await close();
    },
  };
}

/** Every route but those that run a model. */
export function routes(app: FastifyInstance, context: DoorContext): void {
  app.setErrorHandler((thrown, _request, reply) => {
    const clientError = (thrown as { statusCode?: number }).statusCode;
    const error =
      clientError !== undefined && clientError < 500
        ? new SpillwayError(clientError === 413 ? 'PAYLOAD_TOO_LARGE' : 'INVALID_REQUEST', (thrown as Error).message)
        : SpillwayError.from(thrown);
    const { status, body, headers } = toOip(error);
    return reply.code(status).headers(headers).send(body);
  });
  servedPaths(app);
  // Clients send JSON under any content type, or none: what the body is, the route knows.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, body === '' ? null : JSON.parse(String(body)));
    } catch (cause) {
      done(new SpillwayError('INVALID_REQUEST', 'body: expected JSON', { cause }));
    }
  });
  app.get('/v2', () => serverMetadata());
  app.get('/v2/', () => serverMetadata());
  app.get('/v2/health/live', () => ({ live: true }));
  app.get('/v2/health/ready', (_request, reply) => {
    const ready = context.isReady();
    return reply.code(ready ? 200 : 503).send({ live: true, ready });
  });
  for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version']) {
    app.get<{ Params: ModelParams }>(path, (request, reply) => {
      identifyCaller(context, request, reply);
      const { model, version } = namesOf(request.params);
      return modelMetadata(context.catalogue, model, version);
    });
    app.get<{ Params: ModelParams }>(`${path}/ready`, (request, reply) => {
      const { model, version } = namesOf(request.params);
      modelMetadata(context.catalogue, model, version);
      const ready = context.isReady() && context.catalogue.isReady(model, version);
      return reply.code(ready ? 200 : 503).send({ name: model, ready });
    });
  }
  app.post('/v2/repository/index', (request, reply) => {
    identifyCaller(context, request, reply);
    const onlyReady = (request.body as { ready?: unknown } | null)?.ready === true;
    return repositoryIndex(context.catalogue, onlyReady);
  });
  controlRoutes(app, context);
  serveJobs(app, context);
  serveJobBatches(app, context);
  serveDocs(app);
}
