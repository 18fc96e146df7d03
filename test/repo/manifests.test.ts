import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { REPO } from '@spillway/testing/find-binary';
import { type Manifest, readJson, WORKSPACES } from './workspaces.ts';

const SCRIPTS = ['typecheck', 'lint', 'test', 'verify'];
const EXACT = /^\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?$/;
const root = readJson<Manifest & { engines: { node: string } }>('package.json');

test('every workspace has the same scripts, and verify runs all of them', () => {
  for (const { manifest } of WORKSPACES) {
    for (const script of SCRIPTS) assert.ok(manifest.scripts?.[script], `${manifest.name}: script "${script}"`);
    for (const script of SCRIPTS.slice(0, 3)) {
      assert.match(manifest.scripts?.['verify'] ?? '', new RegExp(`npm run ${script}\\b`), manifest.name);
    }
  }
});

test('every test file is run by a script of its workspace, and by one only', () => {
  for (const { dir, manifest } of WORKSPACES) {
    const cwd = join(REPO, dir);
    const exclude = ['**/node_modules/**'];
    const scripts = Object.entries(manifest.scripts ?? {}).filter(([name]) => /^test(:|$)/.test(name));
    const patterns = scripts.flatMap(([, command]) => [...command.matchAll(/"([^"]+)"/g)].map((match) => match[1]!));
    const run = patterns.flatMap((pattern) => globSync(pattern, { cwd, exclude }));
    assert.deepEqual(run.sort(), globSync('**/*.test.ts', { cwd, exclude }).sort(), dir);
  }
});

test('one type check of the root checks every workspace by the rules that it has itself', () => {
  const { include } = readJson<{ include: string[] }>('tsconfig.json');
  for (const { dir } of WORKSPACES) {
    assert.ok(include.includes(dir.split('/')[0]!), dir);
    const own = readJson<object>(dir, 'tsconfig.json');
    assert.deepEqual(Object.keys(own).sort(), ['extends', 'include'], dir);
  }
});

test('every workspace is a module of this project under its licence, exported by sub-path', () => {
  for (const { manifest, name, kind } of WORKSPACES) {
    assert.equal(manifest.name, `@spillway/${name}`);
    assert.equal(manifest.type, 'module', name);
    assert.equal(manifest.license, 'Apache-2.0', name);
    assert.equal(manifest.version, root.version, name);
    if (kind === 'package' && name !== 'client') assert.deepEqual(manifest.exports, { './*': './src/*.ts' }, name);
  }
});

test('foreign versions are exact and the same everywhere', () => {
  const seen = new Map<string, string>();
  for (const manifest of [root, ...WORKSPACES.map((w) => w.manifest)]) {
    for (const [library, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
      if (library.startsWith('@spillway/')) {
        assert.equal(version, '*', `${manifest.name}: ${library}`);
        continue;
      }
      assert.match(version, EXACT, `${manifest.name}: ${library}`);
      assert.equal(version, seen.get(library) ?? version, `${manifest.name}: ${library}`);
      seen.set(library, version);
    }
  }
});

test('Node is at least 24.14.1', () => {
  assert.equal(root.engines.node, '>=24.14.1');
});
