import type { IncomingMessage, ServerResponse } from 'node:http';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { toOip } from '@spillway/errors/to-oip';
import type { toPlain } from '@spillway/errors/to-plain';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

type Served = { path: RegExp; methods: Set<string> };

/** A route's own pattern as a regular expression: `:name` is one part of a path, `*` the rest. */
const patternOf = (url: string): RegExp =>
  new RegExp(
    `^${url
      .replace(/[.+?^${}|[\]\\]/g, '\\$&')
      .replace(/:\w+(\([^)]*\))?/g, '[^/]+')
      .replace('*', '.*')}$`,
  );

/** @param methods That the path is served for; none: it is not served. */
export function refusePath(request: FastifyRequest, reply: FastifyReply, methods: readonly string[]): FastifyReply {
  const allow = methods.join(', ');
  const error =
    allow === ''
      ? new SpillwayError('NOT_FOUND', 'no such path is served here')
      : new SpillwayError('METHOD_NOT_ALLOWED', `expected ${allow}, got ${request.method}`);
  const { status, body, headers } = toOip(error);
  return reply
    .code(status)
    .headers(allow === '' ? headers : { ...headers, allow })
    .send(body);
}

/** The same on plain node:http, for a path that is served for POST only. */
export function refuseMethod(req: IncomingMessage, res: ServerResponse, say: typeof toOip | typeof toPlain): void {
  const { status, body, headers } = say(new SpillwayError('METHOD_NOT_ALLOWED', `expected POST, got ${req.method}`));
  res.writeHead(status, { ...headers, allow: 'POST', 'content-type': 'application/json' });
  res.end(JSON.stringify(body));
}

/**
 * Says what is wrong with a request that no route takes: 405 with `allow` where its path is served for other methods, else 404. It is
 * said before the body is read. Call it before the first route.
 */
export function servedPaths(app: FastifyInstance): void {
  const served = new Map<string, Served>();
  app.addHook('onRoute', ({ url, method }) => {
    const known = served.get(url) ?? { path: patternOf(url), methods: new Set() };
    for (const one of [method].flat()) known.methods.add(one);
    served.set(url, known);
  });
  const refuse = (request: FastifyRequest, reply: FastifyReply) => {
    const path = request.url.split('?', 1)[0] ?? '';
    const methods = new Set(
      [...served.values()].filter((one) => one.path.test(path)).flatMap((one) => [...one.methods]),
    );
    return refusePath(request, reply, [...methods].sort());
  };
  app.addHook('onRequest', async (request, reply) => {
    if (request.is404) await refuse(request, reply);
  });
  app.setNotFoundHandler(refuse);
}
