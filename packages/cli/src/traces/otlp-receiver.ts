import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { CATALOGUE } from '@spillway/errors/catalogue';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { decodeJson, decodeProtobuf, encodeRefusal, encodeResponse, responseJson } from './otlp-decode.ts';
import type { TraceStore } from './trace-store.ts';

export type OtlpReceiverOptions = {
  store: TraceStore;
  /** 0: the system chooses. */
  port?: number;
  /** Of the body as it comes. */
  maxBodyBytes?: number;
  /** Of the body unpacked: a small gzip can hold a large nothing. */
  maxDecodedBytes?: number;
};

export type OtlpReceiver = AsyncDisposable & {
  port: number;
  /** The base URL for `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  url: string;
};

const unzip = promisify(gunzip);
const HOST = '127.0.0.1';
const PROTOBUF = 'application/x-protobuf';
const JSON_TYPE = 'application/json';
const LIST_DEFAULT = 20;
const LIST_MAX = 1_000;

/**
 * Takes spans by OTLP/HTTP (`POST /v1/traces`, protobuf or JSON, plain or gzip) into the store, and answers
 * `GET /traces?limit=N` and `GET /traces/<id>` from it. On loopback only, without keys: whoever is on the machine may read.
 * @throws the system's error when the port is taken.
 */
export async function startOtlpReceiver(options: OtlpReceiverOptions): Promise<OtlpReceiver> {
  const { store, port = 0, maxBodyBytes = 4 * 2 ** 20, maxDecodedBytes = 16 * 2 ** 20 } = options;
  const limits = { maxBodyBytes, maxDecodedBytes };
  const server = createServer((request, response) => void serve(request, response, store, limits));
  server.headersTimeout = 5_000;
  server.requestTimeout = 10_000;
  server.keepAliveTimeout = 65_000; // longer than the second between two exports of a busy service
  server.maxConnections = 256;
  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(port, HOST, resolve);
  await listening;
  const bound = (server.address() as AddressInfo).port;
  return {
    port: bound,
    url: `http://${HOST}:${bound}`,
    [Symbol.asyncDispose]: async () => {
      const { promise: closed, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      server.closeAllConnections();
      await closed;
    },
  };
}

type Limits = { maxBodyBytes: number; maxDecodedBytes: number };
type Reply = { status: number; type: string; body: string | Uint8Array };

const json = (status: number, body: object): Reply => ({ status, type: JSON_TYPE, body: JSON.stringify(body) });

async function answer(request: IncomingMessage, store: TraceStore, limits: Limits): Promise<Reply> {
  const url = URL.parse(request.url ?? '/', `http://${HOST}`);
  if (url === null) throw new SpillwayError('INVALID_REQUEST', 'expected a path');
  // A page in a browser can reach loopback under a name of its own; it cannot claim to be `localhost`.
  if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(request.headers.host ?? ''))
    throw new SpillwayError('FORBIDDEN', 'expected the host 127.0.0.1 or localhost');
  if (url.pathname === '/v1/traces') {
    expectMethod(request, 'POST');
    return takeExport(request, store, limits);
  }
  if (url.pathname === '/traces') {
    expectMethod(request, 'GET');
    const limit = Number(url.searchParams.get('limit') ?? LIST_DEFAULT);
    if (!(limit >= 1 && limit <= LIST_MAX))
      throw new SpillwayError('INVALID_REQUEST', `limit: expected 1 to ${LIST_MAX}`);
    return json(200, { traces: store.list(Math.floor(limit)) });
  }
  const id = /^\/traces\/([^/]{1,128})$/.exec(url.pathname)?.[1];
  if (id === undefined) throw new SpillwayError('NOT_FOUND', 'expected /v1/traces, /traces or /traces/<id>');
  expectMethod(request, 'GET');
  return findTrace(store, decodeId(id));
}

function expectMethod(request: IncomingMessage, method: string): void {
  if (request.method !== method) throw new SpillwayError('METHOD_NOT_ALLOWED', `expected ${method}`);
}

function decodeId(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new SpillwayError('INVALID_REQUEST', 'expected an id in URL encoding', { cause });
  }
}

function findTrace(store: TraceStore, id: string): Reply {
  const found = store.find(id);
  if (found.kind === 'trace') return json(200, found.trace);
  if (found.kind === 'ambiguous')
    return json(409, { error: 'several traces begin like this', traceIds: found.traceIds });
  throw new SpillwayError('NOT_FOUND', 'no trace of this id among the last ones');
}

async function takeExport(request: IncomingMessage, store: TraceStore, limits: Limits): Promise<Reply> {
  const isJson = mediaTypeOf(request) === JSON_TYPE;
  if (!isJson && mediaTypeOf(request) !== PROTOBUF)
    throw new SpillwayError('UNSUPPORTED_MEDIA', `content-type: expected ${PROTOBUF} or ${JSON_TYPE}`);
  const body = await unpack(request, await readBody(request, limits.maxBodyBytes), limits.maxDecodedBytes);
  const { spans, rejected } = isJson ? decodeJson(body.toString('utf8')) : decodeProtobuf(body);
  store.add(spans);
  if (isJson) return json(200, responseJson(rejected));
  return { status: 200, type: PROTOBUF, body: encodeResponse(rejected) };
}

const mediaTypeOf = (request: IncomingMessage): string =>
  (request.headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase();

async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Kept open when left early, or the sender would see a broken connection instead of the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new SpillwayError('PAYLOAD_TOO_LARGE', `expected a body of at most ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}

async function unpack(request: IncomingMessage, body: Buffer, maxBytes: number): Promise<Buffer> {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (encoding === 'identity') return body;
  if (encoding !== 'gzip') throw new SpillwayError('UNSUPPORTED_MEDIA', 'content-encoding: expected gzip or none');
  try {
    return await unzip(body, { maxOutputLength: maxBytes });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
      throw new SpillwayError('PAYLOAD_TOO_LARGE', `expected at most ${maxBytes} bytes unpacked`, { cause });
    throw new SpillwayError('INVALID_REQUEST', 'expected a body in gzip', { cause });
  }
}

/** Exporters repeat 429, 502, 503 and 504 and drop the rest: none of ours is worth repeating. */
function refusal(request: IncomingMessage, error: SpillwayError): Reply {
  const { http, grpc } = CATALOGUE[error.code];
  if (mediaTypeOf(request) !== PROTOBUF) return json(http, { error: error.message });
  return { status: http, type: PROTOBUF, body: encodeRefusal(grpc, error.message) };
}

async function serve(request: IncomingMessage, response: ServerResponse, store: TraceStore, limits: Limits) {
  const reply = await answer(request, store, limits).catch((thrown) => {
    response.setHeader('connection', 'close'); // the rest of a body may still be on its way
    return refusal(request, SpillwayError.from(thrown));
  });
  response.writeHead(reply.status, { 'content-type': reply.type }).end(reply.body);
}
