import assert from 'node:assert/strict';
import { test } from 'node:test';
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
