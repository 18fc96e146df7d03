import type * as Nats from 'nats';
import type { CallScope } from './call-scope.ts';
import { errorFromObject, type Fields, SpillwayClientError, unreachable } from './errors.ts';
import { parseJson, readInferAnswer, writeInferBody } from './infer-body.ts';
import { loadLibrary } from './load-library.ts';
import { eventsSubject, RESULTS_STREAM, resultSubject } from './nats-subjects.ts';
import { readReceipt } from './receipt.ts';
import type { Answered, InferRequest, TlsOptions, Transport } from './request.ts';

type Connected = { nats: typeof Nats; connection: Nats.NatsConnection };
type Stored = { data: Uint8Array; headers?: Nats.MsgHdrs | undefined };

const MOST_FOR_RECEIPT_MS = 5_000;

export type NatsOptions = { tenant: string; tls?: TlsOptions | undefined };

/** The durable door: a request is published as an event, becomes a job, and its stored result is the answer. */
export function natsTransport(url: URL, { tenant, tls }: NatsOptions): Transport {
  let connected: Promise<Connected> | undefined;
  const open = (): Promise<Connected> => {
    connected ??= connect(url, tls).catch((cause: unknown) => {
      connected = undefined; // the next call tries again
      throw cause instanceof SpillwayClientError ? cause : unreachable(url.host, cause);
    });
    return connected;
  };
  const metadata = () => {
    const what = 'model metadata is not served over NATS: name the HTTP door too ({ http: "http://…" })';
    return Promise.reject(new SpillwayClientError('UNSUPPORTED', what));
  };
  return {
    kind: 'nats',
    infer: async (request, scope) => {
      const { nats, connection } = await scope.race(open());
      const stored = await publishAndWait(nats, connection, tenant, request, scope);
      return readStored(nats, stored, request);
    },
    model: metadata,
    models: metadata,
    ready: async (scope) => {
      const { connection } = await scope.race(open());
      return !connection.isClosed();
    },
    close: async () => {
      const opened = connected;
      connected = undefined;
      await (await opened?.catch(() => undefined))?.connection.close();
    },
  };
}

async function connect(url: URL, tls: TlsOptions = {}): Promise<Connected> {
  const nats = await loadLibrary('nats', () => import('nats'));
  const connection = await nats.connect({
    servers: url.host,
    ...(url.username !== '' && { user: decodeURIComponent(url.username), pass: decodeURIComponent(url.password) }),
    ...(url.protocol === 'tls:' && { tls: given(tls) }),
    name: 'spillway-client',
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    timeout: 2_000,
  });
  return { nats, connection };
}

/** The library takes no member that is undefined. */
const given = ({ ca, cert, key }: TlsOptions): Nats.TlsOptions => ({
  ...(ca !== undefined && { ca }),
  ...(cert !== undefined && { cert }),
  ...(key !== undefined && { key }),
});

/** Listens before it publishes, so that no result is missed. */
async function publishAndWait(
  nats: typeof Nats,
  connection: Nats.NatsConnection,
  tenant: string,
  { model, version, inputs, outputs, headers }: InferRequest,
  scope: CallScope,
): Promise<Stored> {
  const job = headers['idempotency-key'] ?? crypto.randomUUID();
  const subject = resultSubject(tenant, job);
  const events = eventsSubject(tenant, model);
  const { bytes, headerLength } = writeInferBody(inputs, { outputs, binaryOutput: false });
  const sent = nats.headers();
  for (const [name, value] of Object.entries(headers)) sent.set(name, value);
  sent.set('spillway-job', job);
  if (version !== undefined) sent.set('spillway-model-version', version);
  if (headerLength !== undefined) sent.set('inference-header-content-length', String(headerLength));

  const { promise, resolve } = Promise.withResolvers<Stored>();
  const listening = connection.subscribe(subject, {
    max: 1,
    callback: (error, message) => {
      if (error === null) resolve(message);
    },
  });
  // A result that came while the connection was away, or at an earlier call with this key, is in the stream.
  const look = () => void lookUp(connection, subject).then((found) => found && resolve(found));
  const stop = onReconnect(nats, connection, look);
  try {
    const options = { headers: sent, msgID: job, timeout: Math.min(scope.leftMs, MOST_FOR_RECEIPT_MS) };
    const published = connection.jetstream().publish(events, bytes, options);
    const { duplicate } = await scope.race(
      published.catch((cause: unknown) => {
        throw unreachable(connection.getServer(), cause);
      }),
    );
    if (duplicate) look();
    return await scope.race(promise);
  } finally {
    stop();
    listening.unsubscribe();
  }
}

async function lookUp(connection: Nats.NatsConnection, subject: string): Promise<Stored | undefined> {
  try {
    const manager = await connection.jetstreamManager();
    const { data, header } = await manager.streams.getMessage(RESULTS_STREAM, { last_by_subj: subject });
    return { data, headers: header };
  } catch {
    return undefined; // none yet, or this user may not read the stream: the subscription goes on
  }
}

function onReconnect(nats: typeof Nats, connection: Nats.NatsConnection, listener: () => void): () => void {
  const statuses = connection.status() as AsyncIterable<Nats.Status> & { stop?(): void };
  let stopped = false;
  void (async () => {
    for await (const { type } of statuses) {
      if (stopped) return;
      if (type === nats.Events.Reconnect) listener();
    }
  })();
  return () => {
    stopped = true;
    statuses.stop?.();
  };
}

function readStored(nats: typeof Nats, { data, headers }: Stored, { bytes }: InferRequest): Answered {
  const fields: Fields = (name) => headers?.get(name, nats.Match.IgnoreCase) || undefined;
  const body = parseJson(new TextDecoder().decode(data));
  const error = (body as { error?: unknown } | null)?.error;
  if (error !== undefined) throw errorFromObject(error, fields);
  return { ...readInferAnswer(body, bytes), receipt: readReceipt(fields) };
}
