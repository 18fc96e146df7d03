import type { CallScope } from './call-scope.ts';
import { errorFromHttp, type Fields, SpillwayClientError, unreachable } from './errors.ts';
import { parseJson, readInferBody, writeInferBody } from './infer-body.ts';
import { readIndex, readMetadata, type WireIndexEntry, type WireMetadata } from './metadata.ts';
import { readReceipt } from './receipt.ts';
import type { InferRequest, Ticket, Transport } from './request.ts';

export type HttpCall = {
  method: string;
  /** Relative to the base URL, without a slash at the start. */
  path: string;
  headers?: Record<string, string>;
  body?: Uint8Array;
};

/** The HTTP door, through `fetch`, which keeps and shares connections. */
export class HttpDoor {
  readonly #base: URL;
  readonly #key: string | undefined;

  constructor(url: string, key: string | undefined) {
    this.#base = new URL(url.endsWith('/') ? url : `${url}/`);
    this.#key = key;
  }

  /** Any answer. @throws SpillwayClientError `UNAVAILABLE` when none came, or the signal's reason. */
  async send({ method, path, headers = {}, body }: HttpCall, signal: AbortSignal): Promise<Response> {
    const sent = { ...headers, ...(this.#key !== undefined && { authorization: `Bearer ${this.#key}` }) };
    const init = {
      method,
      headers: sent,
      signal,
      ...(body !== undefined && { body: body as Uint8Array<ArrayBuffer> }),
    };
    try {
      return await fetch(new URL(path, this.#base), init);
    } catch (thrown) {
      throw this.broken(thrown, signal);
    }
  }

  /** The JSON of a good answer. @throws SpillwayClientError what the door answered, else. */
  async json(call: HttpCall, signal: AbortSignal): Promise<{ body: unknown; status: number; fields: Fields }> {
    const response = await this.send(call, signal);
    const body = await this.read(response, signal);
    return { body: parseJson(new TextDecoder().decode(body)), status: response.status, fields: fieldsOf(response) };
  }

  /** The body of a good answer. @throws SpillwayClientError what the door answered, else. */
  async read(response: Response, signal: AbortSignal): Promise<Uint8Array> {
    let body: Uint8Array;
    try {
      body = new Uint8Array(await response.arrayBuffer());
    } catch (thrown) {
      throw this.broken(thrown, signal);
    }
    if (response.ok) return body;
    throw errorFromHttp(response.status, fieldsOf(response), new TextDecoder().decode(body));
  }

  broken(thrown: unknown, signal: AbortSignal): SpillwayClientError {
    if (signal.aborted && signal.reason instanceof SpillwayClientError) return signal.reason;
    return thrown instanceof SpillwayClientError ? thrown : unreachable(this.#base.origin, thrown);
  }
}

const fieldsOf =
  ({ headers }: Response): Fields =>
  (name) =>
    headers.get(name) ?? undefined;

/** The body of a 202: the mesh took the request as a durable job. */
export function readTicket(body: unknown, fields: Fields): Ticket {
  const job = (body as { job?: unknown } | null)?.job;
  if (typeof job !== 'string')
    throw new SpillwayClientError('INTERNAL', 'the answer cannot be read: a 202 without a job');
  const seconds = Number(fields('retry-after'));
  return { job, retryAfterMs: Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : undefined };
}

export const modelPath = (model: string, version: string | undefined): string =>
  `v2/models/${encodeURIComponent(model)}${version === undefined ? '' : `/versions/${encodeURIComponent(version)}`}`;

/** The call of an infer request, whoever sends it. */
export function inferCall({ model, version, inputs, outputs, headers }: InferRequest): HttpCall {
  const { bytes, headerLength } = writeInferBody(inputs, { outputs, binaryOutput: true });
  const form: Record<string, string> =
    headerLength === undefined
      ? { 'content-type': 'application/json' }
      : { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(headerLength) };
  return { method: 'POST', path: `${modelPath(model, version)}/infer`, headers: { ...headers, ...form }, body: bytes };
}

export function httpTransport(door: HttpDoor): Transport {
  const infer = async (request: InferRequest, { signal }: CallScope) => {
    const response = await door.send(inferCall(request), signal);
    const body = await door.read(response, signal);
    const fields = fieldsOf(response);
    if (response.status === 202) {
      return { ticket: readTicket(parseJson(new TextDecoder().decode(body)), fields) };
    }
    const headerLength = fields('inference-header-content-length');
    const answer = readInferBody(body, headerLength === undefined ? undefined : Number(headerLength), request.bytes);
    return { ...answer, receipt: readReceipt(fields) };
  };
  return {
    kind: 'http',
    infer,
    model: async (name, version, { signal }) => {
      const { body } = await door.json({ method: 'GET', path: modelPath(name, version) }, signal);
      return readMetadata(body as WireMetadata);
    },
    models: async ({ signal }) => {
      const { body } = await door.json({ method: 'POST', path: 'v2/repository/index' }, signal);
      return readIndex(body as WireIndexEntry[]);
    },
    ready: async ({ signal }) => {
      const response = await door.send({ method: 'GET', path: 'v2/health/ready' }, signal);
      await response.body?.cancel();
      return response.ok;
    },
    close: async () => undefined,
  };
}
