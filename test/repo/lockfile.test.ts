import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readJson, readSource } from './workspaces.ts';

type Locked = {
  version?: string;
  resolved?: string;
  integrity?: string;
  link?: boolean;
  hasInstallScript?: boolean;
  optional?: boolean;
  os?: string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
};
const lock = readJson<{ lockfileVersion: number; packages: Record<string, Locked> }>('package-lock.json');
const foreign = Object.entries(lock.packages).filter(([path, { link }]) => path.includes('node_modules/') && !link);

/** Security floors; a list holds one floor for each supported major line. */
const FLOORS: Record<string, string> = {
  '@grpc/grpc-js': '1.14.4', // CVE-2026-48068 and -48069
  protobufjs: '7.6.5', // code execution from an untrusted schema
  nats: '2.29.3', // adapts to a JetStream change of server 2.10.26
  onnxruntime: '1.30.0',
};
/** Packages that would like to run a script at installation; none is run (`ignore-scripts`). */
const WITH_SCRIPTS = ['onnxruntime-node', 'protobufjs'];

const numbers = (version: string): number[] => version.split(/[.-]/).slice(0, 3).map(Number);
function atLeast(version: string, floor: string): boolean {
  const [a, b] = [numbers(version), numbers(floor)];
  for (let i = 0; i < 3; i += 1) if (a[i] !== b[i]) return (a[i] ?? 0) > (b[i] ?? 0);
  return true;
}
const nameOf = (path: string): string => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

/** What is installed nowhere that Spillway runs: tools' binaries for other systems, which not every registry carries. */
const elsewhere = ({ optional, os, libc }: Locked): boolean =>
  optional === true && (os?.includes('linux') === false || libc?.includes('musl') === true);

test('every optional dependency has an entry: without one `npm ci` refuses the whole lock file', () => {
  for (const [path, { optionalDependencies }] of foreign) {
    for (const name of Object.keys(optionalDependencies ?? {})) {
      assert.ok(lock.packages[`node_modules/${name}`] !== undefined, `${path} → ${name}`);
    }
  }
});

test('the lock file is of version 3, all from one registry, with sha512 for all that is installed', () => {
  assert.equal(lock.lockfileVersion, 3);
  assert.ok(foreign.length > 50);
  for (const [path, locked] of foreign) {
    const { resolved, integrity } = locked;
    if (integrity !== undefined || !elsewhere(locked)) assert.match(integrity ?? '', /^sha512-/, path);
    if (resolved !== undefined) assert.match(resolved, /^https:\/\/registry\.npmjs\.org\//, path);
  }
});

test('every installed copy is at or above its security floor', () => {
  for (const [library, floor] of Object.entries(FLOORS)) {
    const copies = foreign.filter(([path]) => nameOf(path) === library || nameOf(path) === `${library}-node`);
    assert.ok(copies.length > 0, `${library} is not in the lock file`);
    for (const [path, { version }] of copies)
      assert.ok(atLeast(version ?? '0', floor), `${path} ${version} < ${floor}`);
  }
});

test('a new package with an installation script does not slip in', () => {
  const found = foreign.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => nameOf(path));
  assert.deepEqual([...new Set(found)].sort(), WITH_SCRIPTS);
});

test('npm runs no scripts, asks nobody, and writes exact versions', () => {
  const settings = readSource('.npmrc');
  for (const line of ['ignore-scripts=true', 'audit=false', 'fund=false', 'save-exact=true']) {
    assert.ok(settings.split('\n').includes(line), line);
  }
});

test('the launcher installs a Node at or above the floor, checked by its hash', () => {
  const launcher = readSource('spillway');
  const version = /NODE_VERSION=(\d+\.\d+\.\d+)/.exec(launcher)?.[1] ?? '0.0.0';
  assert.ok(atLeast(version, '24.14.1'), version);
  assert.match(launcher, /NODE_SHA512_X64=[0-9a-f]{128}/);
  assert.match(launcher, /NODE_SHA512_ARM64=[0-9a-f]{128}/);
});
