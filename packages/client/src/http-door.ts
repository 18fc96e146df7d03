import { type Agent, Agent as HttpAgent, type IncomingMessage, request as overHttp } from 'node:http';
import { Agent as HttpsAgent, request as overHttps } from 'node:https';
import { urlToHttpOptions } from 'node:url';
import { errorFromHttp, type Fields, SpillwayClientError, unreachable } from './errors.ts';
import { parseJson } from './infer-body.ts';
import type { TlsOptions } from './request.ts';

export type HttpCall = {
  method: string;
  /** Relative to the base URL, without a slash at the start. */
  path: string;
  headers?: Record<string, string>;
  body?: Uint8Array;
};

/** Its body has not been read yet: whoever has it reads it, or lets it go with `resume()`. */
export type HttpAnswer = { status: number; fields: Fields; body: AsyncIterable<Uint8Array> & { resume(): unknown } };

/** Beyond that requests wait here for a connection: opening thousands at once costs both sides more than waiting. */
const MAX_CONNECTIONS = 256;

const isGood = (status: number): boolean => status >= 200 && status < 300;

/** The HTTP door, on connections that are kept. By node:http, because `fetch` takes two to three times its processor time. */
export class HttpDoor {
  readonly #origin: string;
  readonly #target: ReturnType<typeof urlToHttpOptions>;
  readonly #path: string;
  readonly #request: typeof overHttp;
  readonly #agent: Agent;
  readonly #key: string | undefined;

  constructor(url: string, { key, tls }: { key?: string | undefined; tls?: TlsOptions | undefined }) {
    const base = new URL(url);
    const isSecure = base.protocol === 'https:';
    this.#origin = base.origin;
    this.#target = urlToHttpOptions(base);
    this.#path = base.pathname.endsWith('/') ? base.pathname : `${base.pathname}/`;
    this.#request = isSecure ? overHttps : overHttp;
    const kept = { keepAlive: true, maxSockets: MAX_CONNECTIONS };
    this.#agent = isSecure ? new HttpsAgent({ ...kept, ...tls }) : new HttpAgent(kept);
    this.#key = key;
  }

  /** Any answer. @throws SpillwayClientError `UNAVAILABLE` when none came, or the signal's reason. */
  send({ method, path, headers = {}, body }: HttpCall, signal: AbortSignal): Promise<HttpAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
    const { hostname, port } = this.#target;
    const outgoing = this.#request({
      hostname,
      port,
      path: this.#path + path,
      method,
      headers: { ...headers, ...(this.#key !== undefined && { authorization: `Bearer ${this.#key}` }) },
      agent: this.#agent,
    });
    const cancel = () => outgoing.destroy(signal.reason);
    if (signal.aborted) cancel();
    signal.addEventListener('abort', cancel, { once: true });
    outgoing.once('close', () => signal.removeEventListener('abort', cancel));
    outgoing.on('error', (thrown) => reject(this.broken(thrown, signal)));
    outgoing.on('response', (incoming) => {
      resolve({ status: incoming.statusCode ?? 0, fields: fieldsOf(incoming), body: incoming });
    });
    outgoing.end(body);
    return promise;
  }

  /** The JSON of a good answer. @throws SpillwayClientError what the door answered, else. */
  async json(call: HttpCall, signal: AbortSignal): Promise<unknown> {
    const body = await this.read(await this.send(call, signal), signal);
    return parseJson(new TextDecoder().decode(body));
  }

  /** The body of a good answer. @throws SpillwayClientError what the door answered, else. */
  async read({ status, fields, body }: HttpAnswer, signal: AbortSignal): Promise<Uint8Array> {
    const bytes = await this.#bytes(body as IncomingMessage, signal);
    if (isGood(status)) return bytes;
    throw errorFromHttp(status, fields, new TextDecoder().decode(bytes));
  }

  #bytes(body: IncomingMessage, signal: AbortSignal): Promise<Uint8Array> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    const chunks: Buffer[] = [];
    body.on('data', (chunk: Buffer) => chunks.push(chunk));
    body.on('error', (thrown) => reject(this.broken(thrown, signal)));
    body.on('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
    return promise;
  }

  /** What a broken connection means: the caller ended it, or the other side did. */
  broken(thrown: unknown, signal: AbortSignal): SpillwayClientError {
    if (signal.aborted && signal.reason instanceof SpillwayClientError) return signal.reason;
    return thrown instanceof SpillwayClientError ? thrown : unreachable(this.#origin, thrown);
  }

  close(): void {
    this.#agent.destroy();
  }
}

const fieldsOf =
  ({ headers }: IncomingMessage): Fields =>
  (name) => {
    const value = headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  };
