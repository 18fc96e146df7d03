import { createSecureContext } from 'node:tls';
import { HEADERS } from '@spillway/contracts/headers';
import type { Answer, Attempt, Transport } from './attempt.ts';
import { failed } from './attempt.ts';
import { HttpPool, type HttpReply } from './http-pool.ts';
import { headerOf } from './http-response.ts';
import type { Payload } from './payload.ts';
import { answered, notAnswered } from './receipt.ts';
import { requestHeaders } from './request-headers.ts';
import type { TlsTexts } from './tls-texts.ts';

export type HttpTarget = {
  /** http:// or https:// */
  url: URL;
  tls: TlsTexts;
  /** Path of a request; `{model}` stands for the model. */
  path: string;
  maxConnections: number;
  /** No header of Spillway is sent. */
  plain: boolean;
};

export type HttpTransport = Transport & { readonly pool: HttpPool };

/** Infer requests as JSON over HTTP/1.1. One pool of connections serves all kinds. */
export function httpTransport(target: HttpTarget, payloadOf: (kindIndex: number) => Payload): HttpTransport {
  const { url } = target;
  const tls = url.protocol === 'https:' ? createSecureContext(target.tls) : undefined;
  const port = Number(url.port || (tls === undefined ? 80 : 443));
  const pool = new HttpPool({ host: url.hostname, port, maxConnections: target.maxConnections, tls });
  const heads: string[] = [];
  const headOf = ({ kind, kindIndex }: Attempt): string => {
    heads[kindIndex] ??= requestHead(target, kind.model, requestHeaders(kind, target.plain));
    return heads[kindIndex];
  };
  const send = (attempt: Attempt, onEnd: (answer: Answer) => void): (() => void) => {
    const payload = payloadOf(attempt.kindIndex);
    const body = payload.json(attempt.input);
    const length = Buffer.byteLength(body);
    const deadline = target.plain ? '' : `${HEADERS.timeoutMs}: ${Math.max(1, Math.round(attempt.budgetMs))}\r\n`;
    const request = `${headOf(attempt)}${deadline}content-length: ${length}\r\n\r\n${body}`;
    // ASCII, as almost every body is, needs no conversion on its way to the socket.
    return pool.send(request, length === body.length ? 'latin1' : 'utf8', (reply) =>
      onEnd(answerOf(reply, payload, attempt.input)),
    );
  };
  return {
    send,
    pool,
    get connections() {
      return pool.mostConnections;
    },
    close: async () => pool.close(),
  };
}

function requestHead(target: HttpTarget, model: string, headers: Record<string, string>): string {
  const path = target.path.replaceAll('{model}', encodeURIComponent(model));
  const lines = Object.entries({ host: target.url.host, 'content-type': 'application/json', ...headers });
  return `POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}`;
}

function answerOf(reply: HttpReply, payload: Payload, input: number): Answer {
  if (reply.status === 0) return failed((reply as { reason: string }).reason);
  const { status, head, body } = reply as Exclude<HttpReply, { status: 0 }>;
  const field = (name: string): string => headerOf(head, name);
  if (status === 200) return answered(field, payload.isWrongJson(body, input));
  if (status === 202) return { ...answered(field, false), end: 'ticket' };
  return notAnswered(field, { refused: status === 429 || status === 503, text: String(status) });
}
