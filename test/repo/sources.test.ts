import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSource, sources, WORKSPACES } from './workspaces.ts';

const MAX_LINES = 300;
const files = WORKSPACES.flatMap(({ dir }) => sources(dir)).filter((file) => !file.includes('/gen/'));
const inSrc = files.filter((file) => /^(packages|services)\/[^/]+\/src\//.test(file));

test(`no source file is longer than ${MAX_LINES} lines`, () => {
  const long = files
    .map((file) => ({ file, lines: readSource(file).trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > MAX_LINES);
  assert.deepEqual(long, []);
});

test('the entry point of a service is at most 30 lines', () => {
  const long = files
    .filter((file) => /^services\/[^/]+\/src\/main\.ts$/.test(file))
    .filter((file) => readSource(file).trimEnd().split('\n').length > 30);
  assert.deepEqual(long, []);
});

test('only entry points and the package that reads configuration touch the environment', () => {
  const allowed = /(\/|-)main\.ts$|\/src\/seed\.ts$|^packages\/(cli|testing|config)\//; // seed.ts is a program of its own
  const touching = inSrc.filter((file) => !allowed.test(file) && /\bprocess\.env\b/.test(readSource(file)));
  assert.deepEqual(touching, []);
});

test('subjects are built in contracts, never written as literals', () => {
  const literal =
    /['"`]spillway\.v1\.(work|jobs|events|results|dlq|features|load|health|invalidate|cancel|running|statistics)\b/;
  const builders = /^packages\/(contracts\/|client\/src\/nats-subjects\.ts$)/; // the client is published without contracts
  const breaking = inSrc.filter((file) => !builders.test(file) && literal.test(readSource(file)));
  assert.deepEqual(breaking, []);
});

test('there are no enums, namespaces or default exports', () => {
  const forbidden = /^\s*(export\s+)?(const\s+)?enum\s|^\s*(export\s+)?namespace\s|^export default /m;
  const loadedByNode = 'packages/cli/src/test-reporter.ts'; // node:test takes a reporter's default export
  assert.deepEqual(
    inSrc.filter((file) => file !== loadedByNode && forbidden.test(readSource(file))),
    [],
  );
});

test('no file only hands on the exports of others, except the public list of the client', () => {
  const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  const reExport = /^export\s+(\*|type\s*\{[^}]*\}|\{[^}]*\})(\s+as\s+\w+)?\s+from\s+'[^']+';/gm;
  const isBarrel = (file: string): boolean => {
    const text = withoutComments(readSource(file));
    return /^export \*/m.test(text) || (reExport.test(text) && text.replace(reExport, '').trim() === '');
  };
  assert.deepEqual(
    inSrc.filter((file) => file !== 'packages/client/src/mod.ts' && isBarrel(file)),
    [],
  );
});
