import { Agent, request } from 'node:http';
import type { OipTensor } from './cases.ts';

/** `status` 0: no answer came; then `error` is the system's code. */
export type HttpReply = {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  text: string;
  error: string;
  ms: number;
};

export type InferReply = HttpReply & { outputs: OipTensor[] | undefined };

export type CallOptions = {
  /** host:port */
  address: string;
  method?: string;
  path: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
  timeoutMs?: number;
  agent?: Agent;
};

/** One HTTP call over plain node:http. Never rejects: what went wrong is in the reply. */
export function call(options: CallOptions): Promise<HttpReply> {
  const { promise, resolve } = Promise.withResolvers<HttpReply>();
  const startMs = performance.now();
  const end = (reply: Partial<HttpReply>): void =>
    resolve({ status: 0, headers: {}, text: '', error: '', ms: performance.now() - startMs, ...reply });
  const [host, port] = options.address.split(':');
  const outgoing = request({
    host,
    port: Number(port),
    method: options.method ?? 'POST',
    path: options.path,
    headers: { 'content-type': 'application/json', ...options.headers },
    ...(options.agent && { agent: options.agent }),
  });
  outgoing.setTimeout(options.timeoutMs ?? 60_000, () => outgoing.destroy(new Error('client timeout')));
  outgoing.once('error', (error: NodeJS.ErrnoException) => end({ error: error.code ?? error.message }));
  outgoing.once('response', (response) => {
    const parts: Buffer[] = [];
    response.on('data', (part: Buffer) => parts.push(part));
    response.once('error', (error: NodeJS.ErrnoException) => end({ error: error.code ?? error.message }));
    response.once('end', () => {
      const { statusCode = 0, headers } = response;
      end({ status: statusCode, headers, text: Buffer.concat(parts).toString() });
    });
  });
  outgoing.end(options.body);
  return promise;
}

const parseOutputs = (text: string): OipTensor[] | undefined => {
  try {
    return (JSON.parse(text) as { outputs?: OipTensor[] }).outputs;
  } catch {
    return undefined;
  }
};

export type InferOptions = Omit<CallOptions, 'path' | 'body' | 'method'> & { model: string; body: unknown };

/** POST /v2/models/{model}/infer with a JSON body. */
export async function infer({ model, body, ...rest }: InferOptions): Promise<InferReply> {
  const reply = await call({ ...rest, path: `/v2/models/${model}/infer`, body: JSON.stringify(body) });
  return { ...reply, outputs: reply.status === 200 ? parseOutputs(reply.text) : undefined };
}

/** A header as one text; '' if it is missing. */
export const headerOf = (reply: HttpReply, name: string): string => String(reply.headers[name] ?? '');

export const keepAliveAgent = (): Agent => new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
