import assert from 'node:assert/strict';
import { test } from 'node:test';
import Fastify from 'fastify';
import type { DoorContext } from '../../src/adapters/door-context.ts';
import { routes } from '../../src/adapters/http-door.ts';
import { openApiDocument } from '../../src/core/openapi/document.ts';

type Document = {
  openapi: string;
  paths: Record<string, Record<string, { operationId: string; responses: Record<string, unknown> }>>;
  components: Record<string, Record<string, unknown>>;
};
const document = openApiDocument('1.2.3') as Document;

test('what the document refers to is in it', () => {
  const refs = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/(\w+)\/(\w+)"/g)];
  assert.ok(refs.length > 50);
  for (const [ref, kind = '', name = ''] of refs) assert.ok(document.components[kind]?.[name], ref);
});

test('each operation has a name of its own, an answer, and the failures that any route has', () => {
  const operations = Object.values(document.paths).flatMap(({ parameters: _, ...methods }) => Object.values(methods));
  const ids = operations.map(({ operationId }) => operationId);
  assert.equal(new Set(ids).size, ids.length);
  for (const { responses } of operations)
    for (const status of ['200', '400', '404', '405', '500']) assert.ok(responses[status]);
});

test('a path names its parameters', () => {
  for (const [path, item] of Object.entries(document.paths)) {
    const named = ((item['parameters'] ?? []) as unknown as { name: string }[]).map(({ name }) => name);
    assert.deepEqual(
      named,
      [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
    );
  }
});

test('each route that the door has is in the document', () => {
  const app = Fastify();
  const served: string[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    const path = url.replace(/:(\w+)/g, '{$1}');
    for (const one of [method].flat()) if (one !== 'HEAD') served.push(`${one.toLowerCase()} ${path}`);
  });
  routes(app, {} as DoorContext);
  assert.ok(served.length > 10);
  const missing = served.filter((route) => {
    const [method = '', path = ''] = route.split(' ');
    return document.paths[path]?.[method] === undefined;
  });
  assert.deepEqual(missing, [], 'add them to ROUTES in src/core/openapi/document.ts');
});
