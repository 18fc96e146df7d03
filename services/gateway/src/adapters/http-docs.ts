import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { FastifyInstance } from 'fastify';
import { openApiDocument } from '../core/openapi/document.ts';
import { SERVER_VERSION } from './oip-metadata.ts';

const PAGE = new URL('./docs-page.html', import.meta.url);

/** The page may run its own script and talk to the door that it came from, and nothing else. */
function policyOf(page: string): string {
  const script = /<script>([\s\S]*)<\/script>/.exec(page)?.[1] ?? '';
  const hash = createHash('sha256').update(script).digest('base64');
  return `default-src 'none'; script-src 'sha256-${hash}'; style-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'`;
}

/** What the HTTP door serves, for machines (`/openapi.json`) and for people (`/docs`). Both are made once. */
export function serveDocs(app: FastifyInstance): void {
  const document = JSON.stringify(openApiDocument(SERVER_VERSION));
  const page = readFileSync(PAGE, 'utf8');
  const policy = policyOf(page);
  app.get('/openapi.json', (_request, reply) => reply.type('application/json').send(document));
  app.get('/docs', (_request, reply) =>
    reply
      .headers({
        'content-security-policy': policy,
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
      })
      .type('text/html; charset=utf-8')
      .send(page),
  );
}
