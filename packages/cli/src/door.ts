import { Agent, request as overHttp } from 'node:http';
import { request as overHttps, Agent as SecureAgent } from 'node:https';
import type { TlsOptions } from '@spillway/client';
import { CliError } from './context.ts';
import { TLS_ADVICE } from './tls-files.ts';

/** A tensor of the Open Inference Protocol as JSON carries it. */
export type JsonTensor = { name: string; datatype: string; shape: number[]; data: unknown[] };
export type TensorSpec = { name: string; datatype: string; shape: number[] };
export type ModelMetadata = {
  name: string;
  versions: string[];
  platform: string;
  inputs: TensorSpec[];
  outputs: TensorSpec[];
};
export type InferBody = { id?: string; inputs: JsonTensor[]; parameters?: Record<string, unknown> };
export type Answer = { status: number; headers: Record<string, string>; body: unknown; tookMs: number };

export type DoorSettings = { connections?: number; tls?: TlsOptions | undefined };

/** The gateway's HTTP door, as any client would use it. Keeps its connections; dispose closes them. */
export class Door implements Disposable {
  readonly #base: URL;
  readonly #key: string | undefined;
  readonly #agent: Agent;
  readonly #request: typeof overHttp;

  /** @param url http:// or https:// @throws CliError (exit code 2) for any other. */
  constructor(url: string, key: string | undefined, { connections = 64, tls }: DoorSettings = {}) {
    const base = URL.canParse(url) ? new URL(url) : undefined;
    if (base?.protocol !== 'http:' && base?.protocol !== 'https:') {
      throw new CliError(
        `--url: expected a URL such as http://127.0.0.1:8000 or https://mesh.example, got "${url}"`,
        [],
        2,
      );
    }
    this.#base = base;
    this.#key = key;
    const kept = { keepAlive: true, maxSockets: connections };
    const secure = base.protocol === 'https:';
    this.#agent = secure ? new SecureAgent({ ...kept, ...tls }) : new Agent(kept);
    this.#request = secure ? overHttps : overHttp;
  }

  infer(model: string, body: InferBody, headers: Record<string, string> = {}): Promise<Answer> {
    return this.call('POST', `/v2/models/${encodeURIComponent(model)}/infer`, body, headers);
  }

  /** @throws CliError with the door's own words when there is no such model. */
  async metadata(model: string): Promise<ModelMetadata> {
    const answer = await this.call('GET', `/v2/models/${encodeURIComponent(model)}`);
    if (answer.status !== 200) throw new CliError(`${model}: ${errorText(answer)}`);
    return answer.body as ModelMetadata;
  }

  /** Names in Triton's repository index that are ready, sorted. */
  async readyModels(): Promise<string[]> {
    const { body } = await this.call('POST', '/v2/repository/index', { ready: true });
    return Array.isArray(body) ? [...new Set((body as { name: string }[]).map(({ name }) => name))].sort() : [];
  }

  /** @throws CliError when the door does not answer at all; every answer, good or bad, is returned. */
  call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const startedMs = performance.now();
    return new Promise((resolve, reject) => {
      const outgoing = this.#request(
        new URL(path, this.#base),
        {
          method,
          agent: this.#agent,
          timeout: 120_000,
          headers: {
            ...(text !== undefined && {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(text),
            }),
            ...(this.#key !== undefined && { authorization: `Bearer ${this.#key}` }),
            ...headers,
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', fail);
          response.on('end', () => {
            const tookMs = performance.now() - startedMs;
            const received = Buffer.concat(chunks).toString('utf8');
            const flat = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
            resolve({
              status: response.statusCode ?? 0,
              headers: Object.fromEntries(flat),
              body: parseOrText(received),
              tookMs,
            });
          });
        },
      );
      const fail = (error: Error) =>
        reject(new CliError(`${this.#base.origin} does not answer: ${error.message}`, adviceOnAway(this.#base.href)));
      outgoing.on('timeout', () => outgoing.destroy(new Error('no answer within 120 s')));
      outgoing.on('error', fail);
      outgoing.end(text);
    });
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

function parseOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** What to look at when no answer came. */
export const adviceOnAway = (url: string): string[] => [
  'Is a mesh running? ./spillway status',
  ...(url.startsWith('https:') ? [TLS_ADVICE] : []),
];

/** The error field of an OIP answer, with its status. */
export function errorText({ status, body }: Answer): string {
  const error = (body as { error?: unknown } | null)?.error;
  return `${status} ${typeof error === 'string' ? error : JSON.stringify(error ?? body)}`;
}
