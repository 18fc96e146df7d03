import { SpillwayError } from '@spillway/errors/spillway-error';
import type { FastifyInstance, HTTPMethods } from 'fastify';

const METHODS: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/**
 * Lets the paths of the routes that follow answer other methods with METHOD_NOT_ALLOWED, which would be NOT_FOUND otherwise.
 * @returns To be called when all routes are there.
 */
export function guardMethods(app: FastifyInstance): () => void {
  const served = new Map<string, Set<string>>();
  let watching = true;
  app.addHook('onRoute', ({ url, method }) => {
    if (!watching) return;
    const methods = served.get(url) ?? new Set();
    for (const one of [method].flat()) methods.add(one);
    served.set(url, methods);
  });
  return () => {
    watching = false;
    for (const [url, methods] of served) {
      const allow = [...methods].join(', ');
      app.route({
        url,
        method: METHODS.filter((method) => !methods.has(method)),
        onRequest: async (request, reply) => {
          reply.header('allow', allow);
          throw new SpillwayError('METHOD_NOT_ALLOWED', `expected ${allow}, got ${request.method}`);
        },
        handler: () => undefined, // never reached
      });
    }
  };
}
